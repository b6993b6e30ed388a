"""Training of the fusion as the published sources describe it, written anew; no line of theirs is in it.

What they say: features are computed first and kept in files, then ``Train_BEiT.py`` reads them (MoodX's README);
batches of 16, Adam or AdamW, gradients clipped at a norm of 1 (MAVEN's README, section 4.2 of the paper); the formulas,
of which eq. 13 and 21-24 are computed here as they are printed: the (T, T) maps and the (T, T, E) tensor inside the
tanh exist. What they don't say is taken as most such code has it: one ``torch.save`` file per segment and modality,
read on each access by a data set without workers (the classifier's README names workers as a cure for slowness),
batches padded to their longest segment, the loss fetched after each batch for the printed mean.

The weights are those of a `FusionModel`, and masks are kept, so that both compute the same numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset

from common.schema import MODALITIES
from stage2_beit.attention import PATHS

#: Files of one segment: features and their masks, labels.
PARTS = (*MODALITIES, *(f"present_{m}" for m in MODALITIES), "labels")
_PADDING = {"labels": torch.nan}


def write_segments(items: Iterable[Mapping[str, Any]], folder: Path) -> None:
    """One ``.pt`` file per segment and part, from windows as `FeatureWindows` has them, without their padding."""
    for number, item in enumerate(items):
        for part in PARTS:
            values = torch.from_numpy(item[part][item["frame_mask"]]).clone()
            torch.save(values, folder / f"segment_{number:05d}_{part}.pt")


class Segments(Dataset[dict[str, Tensor]]):
    """Segments that `write_segments` wrote, read anew on each access."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.count = len(list(folder.glob("*_labels.pt")))

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        stem = self.folder / f"segment_{index:05d}"
        return {part: torch.load(f"{stem}_{part}.pt", weights_only=True) for part in PARTS}


def padded(segments: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """A batch, as long as its longest segment."""
    batch = {
        part: pad_sequence([one[part] for one in segments], batch_first=True, padding_value=_PADDING.get(part, 0))
        for part in PARTS
    }
    lengths = [torch.ones(len(one["labels"]), dtype=torch.bool) for one in segments]
    return batch | {"frame_mask": pad_sequence(lengths, batch_first=True)}


class PublishedFusion(nn.Module):
    """Eq. 13 to 25 as printed, with the weights of a `FusionModel` in its default arrangement.

    Parameters
    ----------
    model : FusionModel with ``pathway: paper``, ``attention: additive``, ``block: beit``, ``arrangement: series``
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self.rate = model.config.dropout

    def forward(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """The loss, (), and the prediction, (B, T, 2)."""
        model, frames = self.model, batch["frame_mask"]
        present = {m: batch[f"present_{m}"] & frames for m in MODALITIES}
        features = {m: model.inputs[m](batch[m], present[m]) for m in MODALITIES}
        enhanced = self.cross(features, present)
        refined = [self.within(model.within[m], enhanced[m], present[m]) for m in MODALITIES]
        x = model.projection(torch.cat(refined, dim=-1))  # eq. 19-20
        for layer in model.beit.layers:
            x = self.beit(layer, x, frames)
        prediction = model.head(x)
        labelled = ~torch.isnan(batch["labels"]).any(dim=-1)
        error = (prediction - batch["labels"])[labelled].square().sum(dim=-1)  # eq. 32
        return error.mean(), prediction

    def cross(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Eq. 13-14: softmax(Q_m K_n' / sqrt d_k) V_n, six times."""
        paths = self.model.cross
        q = {m: paths.query[m](features[m]) for m in MODALITIES}
        k = {m: paths.key[m](features[m]) for m in MODALITIES}
        v = {m: paths.value[m](features[m]) for m in MODALITIES}
        enhanced = dict(features)
        for source, target in PATHS:
            scores = q[source] @ k[target].transpose(1, 2) / q[source].shape[-1] ** 0.5
            path = self.weights(scores, present[target][:, None]) @ v[target]
            enhanced[target] = enhanced[target] + path * present[source][..., None]
        return enhanced

    def within(self, layer: Any, x: Tensor, present: Tensor) -> Tensor:
        """Eq. 15-18: LayerNorm(MHA(F, F, F) + F)."""
        B, T, D = x.shape
        q, k, v = (
            part(x).view(B, T, layer.heads, D // layer.heads).transpose(1, 2)
            for part in (layer.query, layer.key, layer.value)
        )
        scores = q @ k.transpose(2, 3) / q.shape[-1] ** 0.5  # (B, H, T, T)
        heads = self.weights(scores, present[:, None, None]) @ v
        return layer.norm(layer.output(heads.transpose(1, 2).reshape(B, T, D)) + x)

    def beit(self, layer: Any, x: Tensor, frames: Tensor) -> Tensor:
        """Eq. 21-24 inside BEiT's block."""
        h, attention = layer.layernorm_before(x), layer.attention
        inside = attention.query(h)[:, :, None] + attention.key(h)[:, None]  # (B, T, T, E)
        scores = torch.tanh(inside) @ attention.v
        x = x + layer.lambda_1 * layer.dropout(self.weights(scores, frames[:, None]) @ h)
        return x + layer.lambda_2 * layer.dropout(layer.mlp(layer.layernorm_after(x)))

    def weights(self, scores: Tensor, keys: Tensor) -> Tensor:
        """Softmax over the keys that are there; 0 where none is."""
        found = scores.masked_fill(~keys, torch.finfo(scores.dtype).min).softmax(dim=-1)
        return dropout(found * keys.any(dim=-1, keepdim=True), self.rate, self.training)


def train_epoch(
    model: PublishedFusion, loader: Iterable[Mapping[str, Tensor]], optimiser: Any, clip_norm: float, device: Any
) -> float:
    """One epoch over the batches of ``loader``; its mean loss."""
    model.train()
    total, batches = 0.0, 0
    for batch in loader:
        inputs = {name: values.to(device) for name, values in batch.items()}
        optimiser.zero_grad()
        loss, _ = model(inputs)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
        optimiser.step()
        total += loss.item()
        batches += 1
    return total / batches
