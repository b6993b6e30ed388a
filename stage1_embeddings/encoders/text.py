"""Words in their context through a frozen language model (RoBERTa in the paper, eq. 8-11)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from common.device import torch_device, torch_dtype
from common.models import load_model, load_tokenizer
from common.recipe import TextEncoder as Settings

#: Raise when the numbers this file computes change.
CODE_VERSION = 1

#: A tokenizer that knows no limit says something like 1e30.
_NO_LIMIT = 100_000


@dataclass(frozen=True)
class TextFeatures:
    """``words`` (W, D) float32, one row per word; ``tokens`` (S, D) float32, one row per sub-word."""

    words: npt.NDArray[np.float32]
    tokens: npt.NDArray[np.float32]


class TextEncoder:
    """A RoBERTa-, BERT- or MiniLM-like model from a local folder; ``dim`` is the width D of its features.

    Sentences go through the model together, as many as fit, so that each word sees its context; a word is the mean
    of its sub-words.
    """

    def __init__(self, folder: Path, settings: Settings, device: str) -> None:
        self.device = torch_device(device)
        self.model = load_model(folder).to(self.device, torch_dtype(settings.precision, self.device))
        self.tokenizer = load_tokenizer(folder)
        self.dim = int(self.model.config.hidden_size)
        limit = int(self.tokenizer.model_max_length)
        if limit > _NO_LIMIT:
            # RoBERTa counts positions from padding_idx + 1 on; two fewer is right for it and harmless elsewhere.
            limit = int(self.model.config.max_position_embeddings) - 2
        self.room = limit - self.tokenizer.num_special_tokens_to_add()
        self.batch_size = settings.batch_size

    def __call__(self, sentences: Sequence[Sequence[str]]) -> TextFeatures:
        """Encode the words of consecutive sentences.

        Parameters
        ----------
        sentences : words of each sentence, without spaces around them

        Returns
        -------
        TextFeatures
            Rows in the order of the words.
        """
        blocks = self._blocks(sentences)
        encoded = [self._encode(block) for block in blocks]
        if not encoded:
            nothing = np.empty((0, self.dim), dtype=np.float32)
            return TextFeatures(nothing, nothing)
        return TextFeatures(
            np.concatenate([words for words, _ in encoded]), np.concatenate([tokens for _, tokens in encoded])
        )

    def _blocks(self, sentences: Sequence[Sequence[str]]) -> list[list[str]]:
        """Consecutive sentences packed into the model's length; a sentence that is too long is cut between words."""
        blocks: list[list[str]] = []
        used = self.room
        for sentence in sentences:
            lengths = [len(self.tokenizer(" " + word, add_special_tokens=False).input_ids) for word in sentence]
            if not blocks or used + sum(lengths) > self.room:
                blocks.append([])
                used = 0
            for word, length in zip(sentence, lengths, strict=True):
                if used + length > self.room and blocks[-1]:
                    blocks.append([])
                    used = 0
                blocks[-1].append(word)
                used += length
        return [block for block in blocks if block]

    def _encode(self, words: list[str]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        import torch

        starts = np.cumsum([0, *(len(word) + 1 for word in words[:-1])])
        inputs: Any = self.tokenizer(
            " ".join(words),
            return_offsets_mapping=True,
            return_special_tokens_mask=True,
            truncation=True,
            max_length=self.room + self.tokenizer.num_special_tokens_to_add(),
        )
        ids = torch.tensor([inputs["input_ids"]], device=self.device)
        with torch.inference_mode():
            states = self.model(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state[0]
        own = ~np.asarray(inputs["special_tokens_mask"], dtype=bool)
        tokens = states.float().cpu().numpy()[own]
        word_of = (
            np.searchsorted(starts, [end - 1 for _, end in np.asarray(inputs["offset_mapping"])[own]], "right") - 1
        )
        total = np.zeros((len(words), self.dim), dtype=np.float64)
        np.add.at(total, np.clip(word_of, 0, None), tokens)
        count = np.bincount(np.clip(word_of, 0, None), minlength=len(words))
        # A word without a token of its own (a sign the tokenizer drops) takes the sentence's mean.
        total[count == 0] = tokens.mean(axis=0) if len(tokens) else 0
        return (total / np.maximum(count, 1)[:, None]).astype(np.float32), tokens
