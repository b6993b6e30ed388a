"""Utterances' words on their way into a text encoder that is trained: which encoder, sub-words, windows, batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from common.errors import CacheError, DataError, ModelError
from common.manifest import CachedClip, Manifest
from common.models import Pretrained, find, in_folder
from common.recipe import TextEncoder, Window
from common.schema import WORD_TEXT, present
from common.store import read_texts
from common.windows import Array, CachedArrays, FeatureWindows
from common.windows import collate as collate_features

#: What a window holds besides features, and the forward of a `FineTunedModel` takes besides those.
TOKENS = ("input_ids", "attention_mask")

Ids = npt.NDArray[np.int64]


def initial_encoder(settings: TextEncoder, manifest: Manifest, cache: Path) -> Pretrained:
    """The text encoder that made a manifest's features, from which training starts; it isn't loaded.

    Parameters
    ----------
    settings : ``stage1.text`` of the recipe
    cache : Path
        Where stage 1 put the encoder if it is a miniature.

    Raises
    ------
    DataError
        If the rows aren't utterances.
    CacheError
        If another encoder made the features.
    ModelError, UsageError
        As in `common.models.find`.
    """
    if manifest.rows != "utterances":
        raise DataError(
            f"stage2.finetune_text trains on the words of utterances; the rows of {manifest.data} are {manifest.rows}.",
            "Set stage2.finetune_text to false for videos, or give a table of utterances.",
        )
    made_by = manifest.encoders["text"]
    if settings.model == "miniature":  # stage 1 makes it, and gives its folder a version
        folders = sorted((cache / "models").glob("miniature-text-*/"))
        found = [in_folder(settings.model, folder) for folder in folders]
    else:
        found = [find(settings.model, settings.revision, "stage1.text")]
    for one in found:
        if one.identity == made_by["identity"]:
            return one
    identity = found[0].identity[:23] if found else "which isn't there"
    raise CacheError(
        f"stage2.finetune_text starts from stage1.text.model, {settings.model} ({identity}), but these text features "
        f"were made by {made_by['model']} ({made_by['identity'][:23]}).",
        "Run `make embeddings` with this recipe and CACHE first; what a table brings has no encoder to train.",
    )


class Subwords:
    """Texts to the sub-words an encoder reads, special ones included; a longer text is cut.

    What the frozen encoder of stage 1 reads of a text that isn't longer.

    Parameters
    ----------
    tokenizer : a fast tokenizer
    most : int
        Tokens of a text, special ones included.

    Attributes
    ----------
    texts, cut : int
        How many texts it was given so far, and how many of them it has cut.

    Raises
    ------
    ModelError
        If that is no more than the special tokens.
    """

    def __init__(self, tokenizer: Any, most: int) -> None:
        self.tokenizer = tokenizer
        self.most = most
        self.texts = self.cut = 0
        self._special = int(tokenizer.num_special_tokens_to_add())
        if most <= self._special:
            raise ModelError(
                f"The text encoder reads {most} tokens at once, no more than its special ones.",
                "Give another checkpoint.",
            )
        #: What stands for a text that the tokenizer makes nothing of.
        self._unknown = tokenizer.unk_token or tokenizer.mask_token or tokenizer.eos_token

    def __call__(self, texts: Sequence[str]) -> list[Ids]:
        """The ids of each text, (S,) int64 with 1 <= S <= most."""
        if not texts:
            return []
        # Half a surrogate pair, as broken JSON may hold, can't be encoded.
        clean = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
        found = self._ids(clean, split_special_tokens=True)  # what looks like a special token is text
        ids: list[Ids | None] = [None] * len(texts)
        cut: set[int] = set()
        for one, text in zip(found["input_ids"], found["overflow_to_sample_mapping"], strict=True):
            if ids[text] is None:
                ids[text] = np.array(one, dtype=np.int64)
            else:
                cut.add(text)
        self.texts += len(texts)
        self.cut += len(cut)
        unknown: Ids = np.array(self._ids([self._unknown])["input_ids"][0], dtype=np.int64)
        return [unknown if one is None or len(one) <= self._special else one for one in ids]

    def remarks(self) -> list[str]:
        """What must be said of the texts so far."""
        if not self.cut:
            return []
        what = "text is" if self.texts == 1 else "texts are"
        return [
            f"{self.cut} of {self.texts} {what} longer than {self.most} tokens: the encoder reads their beginnings."
        ]

    def _ids(self, texts: list[str], **how: Any) -> Any:
        return self.tokenizer(
            texts, truncation=True, max_length=self.most, return_overflowing_tokens=True, verbose=False, **how
        )


class SpokenWindows(FeatureWindows):
    """Windows that also hold the sub-words of rows that have text; each text is split once, here.

    Parameters
    ----------
    cache, manifest, clips, window, settings : as `FeatureWindows` has them
    subwords : Subwords

    Each item also holds, L being the longest of its texts, 0 without any:
        ``input_ids``        (T, L) int64, 0 after a text's end and where there is no text
        ``attention_mask``   (T, L) int64, 1 where there is a token

    Raises
    ------
    CacheError
        If a clip's file doesn't hold the words of its rows.
    """

    def __init__(
        self,
        cache: Path,
        manifest: Manifest,
        clips: Sequence[CachedClip],
        window: Window,
        *,
        subwords: Subwords,
        **settings: Any,
    ) -> None:
        super().__init__(cache, manifest, clips, window, **settings)
        seen = "text" in self.modalities
        texts = [_texts(arrays, clip) if seen else {} for arrays, clip in zip(self.arrays, self.clips, strict=True)]
        following = iter(subwords([text for one in texts for text in one.values()]))
        self._ids: list[dict[int, Ids]] = [{row: next(following) for row in one} for one in texts]

    def __getitem__(self, index: int) -> dict[str, Array]:
        item = super().__getitem__(index)
        place = self.places[index]
        ids = [self._ids[place.clip].get(row) for row in range(place.start, place.start + place.frames)]
        longest = max(len(one) if one is not None else 0 for one in ids)
        for name in TOKENS:
            item[name] = np.zeros((self.window.frames, longest), dtype=np.int64)
        for row, one in enumerate(ids):
            if one is not None:
                item["input_ids"][row, : len(one)] = one
                item["attention_mask"][row, : len(one)] = 1
        return item


def windows_with(subwords: Subwords | None) -> Callable[..., FeatureWindows]:
    """What makes windows: `SpokenWindows` where a text encoder is to read sub-words, else `FeatureWindows`."""
    return partial(SpokenWindows, subwords=subwords) if subwords else FeatureWindows


def _texts(arrays: CachedArrays, clip: CachedClip) -> dict[int, str]:
    """The text of each row that has any, by row."""
    mask = arrays[present("text")]
    texts = read_texts(arrays.path).get(WORD_TEXT)
    if texts is None or len(texts) != clip.frames:
        raise CacheError(
            f"{arrays.path} has {clip.frames} rows, and {'no' if texts is None else len(texts)} texts of them in "
            f"/{WORD_TEXT}: stage2.finetune_text needs the words themselves.",
            "Delete it and run `make embeddings` again, or set stage2.finetune_text to false.",
        )
    return {row: texts[row] for row in np.flatnonzero(mask).tolist()}


def collate(items: list[dict[str, Array]]) -> dict[str, Any]:
    """As `common.windows.collate`; sub-words, where there are any, become (B, T, L) of the batch's longest text."""
    if TOKENS[0] not in items[0]:
        return collate_features(items)
    longest = max(item[TOKENS[0]].shape[1] for item in items)
    return collate_features([item | {name: _widened(item[name], longest) for name in TOKENS} for item in items])


def _widened(values: Array, columns: int) -> Array:
    return np.pad(values, ((0, 0), (0, columns - values.shape[1])))
