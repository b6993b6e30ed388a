"""Which modality each moment of a clip listened to: the six cross-modal paths of a trained fusion, frame by frame.

Of each path m -> n (eq. 13-14) there are two numbers per frame, as `common.listening.Listening` describes them: how
much it adds to the features of n, and how much of its attention the frame gets. Who asks is a setting of the fusion:
with ``pathway: paper`` the frames of m ask those of n, whose values they get; with ``pathway: released`` the frames of
n ask those of m. The modality that is asked has the keys.

Maps of T x T weights exist a few rows at a time, so that a window may be as long as a clip.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from common.listening import Listening
from common.schema import Modality
from common.windows import FeatureWindows
from stage2_beit.attention import PATHS, CrossModalAttention, path_name
from stage2_beit.words import collate

Doubles = npt.NDArray[np.float64]


def clip_listening(model: Any, data: FeatureWindows, rows: int | None = None) -> Listening:
    """The paths of the single clip in ``data``, the mean of its windows where they overlap.

    A window in which a number is NaN takes no part in that number's mean.

    Parameters
    ----------
    model : FusionModel, or FineTunedModel with one, in evaluation mode
    rows : rows of a map that exist at a time; see `CrossModalAttention.in_blocks`
    """
    cross = _cross(model)
    total: Doubles = np.zeros((2, data.clips[0].frames, len(PATHS)))
    count = np.zeros(total.shape, dtype=np.int64)
    with torch.inference_mode():
        for index, place in enumerate(data.places):
            inputs = collate([data[index]])
            del inputs["labels"]
            features, present = cross_inputs(model, {name: value.to(model.device) for name, value in inputs.items()})
            one = {m: x[0] for m, x in features.items()}, {m: x[0] for m, x in present.items()}
            found = np.stack(window_listening(cross, *one, rows))[:, : place.frames]
            there = np.isfinite(found)
            total[:, place.start : place.start + place.frames] += np.where(there, found, 0)
            count[:, place.start : place.start + place.frames] += there
    mean = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0).astype(np.float32)
    return Listening(tuple(path_name(*path) for path in PATHS), mean[0], mean[1])


def window_listening(
    cross: CrossModalAttention,
    features: Mapping[Modality, Tensor],
    present: Mapping[Modality, Tensor],
    rows: int | None = None,
) -> tuple[Doubles, Doubles]:
    """Strength and attention of the six paths in one window.

    Parameters
    ----------
    features : per modality (T, d_m) float32, as eq. 13 takes them
    present : per modality (T,) bool
    rows : see `CrossModalAttention.in_blocks`

    Returns
    -------
    strength : (T, 6) float64
        ||A_{m->n}(t)|| / ||F_n(t)||, F_n being the features before the path is added, also where ``cross_residual``
        leaves them out of the sum. NaN where the modality that asks is absent, where it has no key in this window,
        and where the target is absent or all 0.
    attended : (T, 6) float64
        Attention that t got as a key, summed over the Q frames that ask, by the even share Q / K of one of K keys: the
        mean over a window's keys is 1. NaN where t is no key, and where no frame asks.
    """
    there = {m: mask.cpu().numpy() for m, mask in present.items()}
    norm = {m: np.where(there[m], _doubles(x.norm(dim=-1)), 0) for m, x in features.items()}
    frames = len(next(iter(there.values())))
    strength, attended = np.full((2, frames, len(PATHS)), np.nan)
    for index, (source, target) in enumerate(PATHS):
        asks, answers = cross.roles(source, target)
        asking, keys = there[asks], there[answers]
        if not asking.any() or not keys.any():
            continue
        added, received = (_doubles(values) for values in cross.in_blocks(features, present, source, target, rows))
        before = norm[target][asking]
        strength[asking, index] = np.divide(added, before, out=np.full(len(added), np.nan), where=before > 0)
        attended[keys, index] = received * keys.sum() / asking.sum()
    return strength, attended


class _Reached(Exception):
    """Ends a forward where the cross-modal attention begins, with what that was given."""

    def __init__(self, features: dict[Modality, Tensor], present: dict[Modality, Tensor]) -> None:
        super().__init__()
        self.given = features, present


def cross_inputs(model: Any, inputs: Mapping[str, Tensor]) -> tuple[dict[Modality, Tensor], dict[Modality, Tensor]]:
    """What the cross-modal attention is given in a forward with ``inputs``: per modality (B, T, d_m) and (B, T) bool.

    Everything before it is the model's own forward, a trained text encoder included; what comes after, which is most
    of the work and of the memory, isn't computed.
    """

    def stop(_: Any, given: tuple[Any, ...]) -> None:
        raise _Reached(given[0], given[1])

    handle = _cross(model).register_forward_pre_hook(stop)
    try:
        model(**inputs)
    except _Reached as reached:
        return reached.given
    finally:
        handle.remove()
    raise AssertionError("the forward of a fusion comes to its cross-modal attention")


def _cross(model: Any) -> CrossModalAttention:
    """The six paths of a fusion, or of the one inside a `FineTunedModel`."""
    cross: CrossModalAttention = getattr(model, "fusion", model).cross
    return cross


def _doubles(values: Tensor) -> Doubles:
    return values.cpu().numpy().astype(np.float64)
