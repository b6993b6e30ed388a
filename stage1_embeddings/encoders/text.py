"""Words in their context through a frozen language model (RoBERTa in the paper, eq. 8-11)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from common.errors import ModelError
from common.models import load_tokenizer
from common.recipe import TextEncoder as Settings
from stage1_embeddings.encoders.blocks import Block, Packer
from stage1_embeddings.encoders.frozen import Frozen

#: Raise when the numbers this file computes change.
CODE_VERSION = 2

#: Raise when the features of whole texts change.
WHOLE_VERSION = 1

#: Whole texts are padded to a multiple of so many tokens: few lengths, little padding.
_STEP_TOKENS = 16


@dataclass(frozen=True)
class TextFeatures:
    """``words`` (W, D) float32, one row per word; ``tokens`` (S, D) float32, one row per sub-word."""

    words: npt.NDArray[np.float32]
    tokens: npt.NDArray[np.float32]


class TextEncoder:
    """RoBERTa, BERT, MiniLM, DistilBERT, ELECTRA, DeBERTa and their like, from a local folder.

    Sentences go through the model together, as many as fit, so that each word sees its context; a word is the mean
    of its sub-words. Which blocks share a batch depends on the clip alone.

    Attributes
    ----------
    dim : int
        Width D of a feature.

    Raises
    ------
    ModelError
        If the folder holds no language model, or no fast tokenizer.
    """

    def __init__(self, folder: Path, settings: Settings, device: str) -> None:
        self._network = Frozen(folder, settings, device, "text")
        model = self._network.model
        self._network.use(model.get_encoder() if self._network.config.is_encoder_decoder else model)
        tokenizer = load_tokenizer(folder)
        self.pack = Packer(tokenizer, self._network.config, reserved=_reserved_positions(model))
        if self.pack.room < 1:
            raise ModelError(f"{folder} reads no more than its special tokens at once.", "Give another checkpoint.")
        self._pad = int(tokenizer.pad_token_id or 0)
        config = self._network.config
        # DistilBERT calls it dim, T5 d_model; transformers maps both to hidden_size.
        self.dim = int(config.hidden_size)

    def __call__(self, sentences: Sequence[Sequence[str]]) -> TextFeatures:
        """Encode the words of consecutive sentences.

        Parameters
        ----------
        sentences : words of each sentence, without spaces around them; empty words and sentences are allowed

        Returns
        -------
        TextFeatures
            Rows in the order of the words, as many as there are words.
        """
        blocks = self.pack(sentences)
        states = [rows for batch in self._network.batches(blocks, self._encode) for rows in batch]
        tokens = np.concatenate([np.empty((0, self.dim), dtype=np.float32), *states])
        word_of = np.array([word for block in blocks for word in block.words], dtype=np.int64)
        words = sum(len(sentence) for sentence in sentences)
        total = np.zeros((words, self.dim), dtype=np.float64)
        np.add.at(total, word_of, tokens)
        count = np.bincount(word_of, minlength=words)  # at least one each: Packer sees to it
        return TextFeatures((total / count[:, None]).astype(np.float32), tokens)

    def whole(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Encode texts, each by itself: the mean of all its tokens, special ones included.

        This is the mean pooling of sentence-transformers, but a text that is longer than the model reads at once goes
        through it in parts, instead of being cut off. A text's row doesn't depend on what else is in its batch, as in
        `VisualEncoder`: batches are always full, and of a few fixed lengths.

        Parameters
        ----------
        texts : N strings

        Returns
        -------
        (N, D) float32
        """
        total = np.zeros((len(texts), self.dim), dtype=np.float64)
        count = np.zeros(len(texts), dtype=np.int64)
        alike: dict[int, list[Block]] = defaultdict(list)
        for block in self.pack.apart(texts):
            alike[self._padded_tokens(block)].append(block)
        for length, blocks in alike.items():
            batches = self._network.batches(blocks, partial(self._full, length=length))
            states = [state for batch in batches for state in batch]
            for block, state in zip(blocks, states, strict=True):
                total[block.words[0]] += state.sum(axis=0, dtype=np.float64)
                count[block.words[0]] += len(state)
        return (total / count[:, None]).astype(np.float32)

    def _encode(self, blocks: Sequence[Block]) -> list[npt.NDArray[np.float32]]:
        """(S, D) float32 of each block, without special tokens and padding."""
        first = len(self.pack.before)
        states = self._states(blocks, max(map(self._tokens, blocks)))
        return [state[first : first + len(block.ids)] for state, block in zip(states, blocks, strict=True)]

    def _full(self, blocks: Sequence[Block], *, length: int) -> list[npt.NDArray[np.float32]]:
        """(S, D) float32 of each block, with its special tokens; the batch is filled up with its last block."""
        full = [*blocks, *[blocks[-1]] * (self._network.batch_size - len(blocks))]
        states = self._states(full, length)
        return [state[: self._tokens(block)] for state, block in zip(states, blocks, strict=False)]

    def _tokens(self, block: Block) -> int:
        return len(self.pack.before) + len(block.ids) + len(self.pack.after)

    def _padded_tokens(self, block: Block) -> int:
        longest = len(self.pack.before) + self.pack.room + len(self.pack.after)
        return min(-(-self._tokens(block) // _STEP_TOKENS) * _STEP_TOKENS, longest)

    def _states(self, blocks: Sequence[Block], length: int) -> npt.NDArray[np.float32]:
        """(B, length, D) of blocks with special tokens around and padding after them."""
        import torch

        before, after = self.pack.before, self.pack.after
        rows = [before + block.ids + after for block in blocks]
        ids = torch.full((len(rows), length), self._pad, dtype=torch.int64)
        mask = torch.zeros_like(ids)
        for index, row in enumerate(rows):
            ids[index, : len(row)] = torch.tensor(row)
            mask[index, : len(row)] = 1
        states: npt.NDArray[np.float32] = (
            self._network.forward(input_ids=ids, attention_mask=mask).float().cpu().numpy()
        )
        return states


def _reserved_positions(model: Any) -> int:
    """Rows of the position table below the first token's: RoBERTa's begins after the one for padding."""
    table = getattr(getattr(model, "embeddings", None), "position_embeddings", None)
    padding = getattr(table, "padding_idx", None)
    return 0 if padding is None else int(padding) + 1
