"""Words to sub-words, and sub-words packed into what a language model reads at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

#: Longest block where neither the tokenizer nor the model knows a limit (T5).
_UNLIMITED = 512

#: A tokenizer that knows no limit says something like 1e30.
_NO_LIMIT = 1_000_000


@dataclass(frozen=True)
class Block:
    """Sub-words that go through the model together: their ids, and the index of the word each belongs to."""

    ids: list[int]
    words: list[int]


class Packer:
    """Packs consecutive sentences into blocks of a model's length.

    Each word is split into sub-words by itself, as it stands in a text: with a space before it unless it begins a
    block. Tokenizers split at spaces first, so this is what they make of the whole text, and it doesn't matter what
    they do to a word's letters (lower case, accents). A word the tokenizer makes nothing of (an empty one, a sign it
    drops) stands as its token for the unknown.

    Parameters
    ----------
    tokenizer : a fast tokenizer
    config : the model's
    reserved : int
        Positions of the model's table that no token gets (RoBERTa counts from ``padding_idx + 1`` on).
    """

    def __init__(self, tokenizer: Any, config: Any, reserved: int = 0) -> None:
        self._tokenizer = tokenizer
        probe = tokenizer("a", return_special_tokens_mask=True)
        own = [index for index, special in enumerate(probe["special_tokens_mask"]) if not special]
        self.before: list[int] = probe["input_ids"][: own[0]]
        self.after: list[int] = probe["input_ids"][own[-1] + 1 :]
        limits = [int(tokenizer.model_max_length)]
        positions = getattr(config, "max_position_embeddings", None)
        if positions:
            limits.append(int(positions) - reserved)
        limit = min(limits)
        #: Sub-words a block holds, beside the special tokens around them.
        self.room = (limit if limit < _NO_LIMIT else _UNLIMITED) - len(self.before) - len(self.after)
        unknown = [tokenizer.unk_token_id, tokenizer.mask_token_id, tokenizer.eos_token_id]
        self._unknown = next((token for token in unknown if token is not None), 0)

    def __call__(self, sentences: Sequence[Sequence[str]]) -> list[Block]:
        """Blocks of whole sentences, as many as fit.

        A sentence that doesn't fit into a block of its own is cut between words, a word that doesn't between its
        sub-words.
        """
        words = [_clean(word) for sentence in sentences for word in sentence]
        spaced, opening = self._split([" " + word for word in words]), self._split(words)
        blocks: list[Block] = []
        begin = 0
        for sentence in sentences:
            end = begin + len(sentence)
            whole = sum(len(spaced[word]) for word in range(begin, end))
            if not blocks or len(blocks[-1].ids) + whole > self.room:
                blocks.append(Block([], []))
            for word in range(begin, end):
                self._place(word, spaced[word], opening[word], blocks)
            begin = end
        return [block for block in blocks if block.ids]

    def apart(self, texts: Sequence[str]) -> list[Block]:
        """Blocks of single texts: one each, or several of a text that is longer. Their ``words`` say which text."""
        blocks = []
        for number, ids in enumerate(self._split([_clean(text) for text in texts])):
            for start in range(0, len(ids), self.room):
                part = ids[start : start + self.room]
                blocks.append(Block(part, [number] * len(part)))
        return blocks

    def _place(self, word: int, spaced: list[int], opening: list[int], blocks: list[Block]) -> None:
        """Put a word into the last block or, where it doesn't fit, into a new one; a longer one into several."""
        if blocks[-1].ids and len(blocks[-1].ids) + len(spaced) > self.room:
            blocks.append(Block([], []))
        rest = spaced if blocks[-1].ids else opening
        while rest:
            if len(blocks[-1].ids) == self.room:
                blocks.append(Block([], []))
            taken = rest[: self.room - len(blocks[-1].ids)]
            blocks[-1].ids.extend(taken)
            blocks[-1].words.extend([word] * len(taken))
            rest = rest[len(taken) :]

    def _split(self, words: list[str]) -> list[list[int]]:
        if not words:
            return []
        # What looks like a special token in a transcript is text.
        ids = self._tokenizer(words, add_special_tokens=False, split_special_tokens=True, verbose=False).input_ids
        return [pieces or [self._unknown] for pieces in ids]


def _clean(word: str) -> str:
    """Half a surrogate pair, as broken JSON may hold, can't be encoded: it becomes a question mark."""
    return word.encode("utf-8", "replace").decode("utf-8")
