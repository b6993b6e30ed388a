"""Training losses on emotion classes, and the settings by which a model is asked for one.

The twin of ``common.losses``, which is about valence and arousal.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, Protocol, get_args

from common.errors import DataError, RecipeError
from common.schema import NO_EMOTION

if TYPE_CHECKING:
    from torch import Tensor

ClassLossKind = Literal["cross-entropy", "focal"]
CLASS_LOSSES = get_args(ClassLossKind)


class ClassSettings(Protocol):
    """What the configuration of a model says of its classes; K is ``classes``, 0 for valence and arousal."""

    classes: int
    loss: str
    focal_gamma: float
    class_weights: list[float] | None
    label_smoothing: float


def classification_loss(
    logits: Tensor,
    target: Tensor,
    kind: str,
    *,
    gamma: float = 2.0,
    weights: Sequence[float] | Tensor | None = None,
    smoothing: float = 0.0,
) -> Tensor:
    """Loss over the labelled rows of a batch.

    Parameters
    ----------
    logits : (..., K) float, K >= 2
    target : (...) int64
        Class of each row, 0 to K - 1; -1 where there is none: such a row enters neither the loss nor the gradient,
        whatever its logits are.
    kind : which loss
        ``cross-entropy``: as ``torch.nn.functional.cross_entropy``. ``focal``: each row's cross-entropy times
        (1 - p)^gamma, p being the probability of the row's class (Lin et al., 2017).
    gamma : >= 0
        Used by ``focal`` alone; 0 is cross-entropy.
    weights : (K,), >= 0
        One of each class w. The mean over rows is sum(w l) / sum(w), w being that of the row's class.
    smoothing : 0 <= smoothing < 1
        As torch's: this share of the target is spread evenly over all K classes. Before the focal factor.

    Returns
    -------
    () float32, or float64 for float64 logits. 0, with a graph and a gradient of 0, where no row is labelled, or none of
    a class that weighs something.

    Raises
    ------
    DataError
        If shapes don't fit, or a class isn't among the K.
    RecipeError
        If ``kind`` isn't known.
    """
    import torch

    _check(logits, target, kind)
    K = logits.shape[-1]
    dtype = torch.promote_types(logits.dtype, torch.float32)  # sums over a batch overflow float16
    label = target.reshape(-1, 1)  # (N, 1)
    labelled = label != NO_EMOTION
    label = label.clamp_min(0)
    # Before any product: 0 * NaN is NaN, also in a backward pass.
    log_p = torch.log_softmax(torch.where(labelled, logits.to(dtype).reshape(-1, K), 0), dim=-1)  # (N, K)
    w = log_p.new_ones(K) if weights is None else torch.as_tensor(weights, dtype=dtype, device=log_p.device)
    if w.shape != (K,):
        raise DataError(f"Class weights of shape {tuple(w.shape)} don't fit {K} classes.", "Give one of each class.")
    row_weight = torch.where(labelled, w[label], 0)[:, 0]  # (N,)
    loss = -(1 - smoothing) * row_weight * log_p.gather(1, label)[:, 0]
    if smoothing > 0:
        loss = loss - torch.where(labelled[:, 0], smoothing / K * (log_p @ w), 0)
    if kind == "focal":
        loss = loss * _shortfall(log_p, label).mul(gamma).exp()
    divisor = row_weight.sum()
    return torch.where(divisor > 0, loss.sum() / torch.where(divisor > 0, divisor, 1), 0 * log_p.sum())


def _shortfall(log_p: Tensor, label: Tensor) -> Tensor:
    """log(1 - p) of each row's class, (N,).

    From the other classes: 1 - p itself is 0 in float32 as p nears 1, where its powers below 1 have no finite slope.
    """
    import torch

    own = torch.zeros_like(log_p, dtype=torch.bool).scatter(1, label, True)
    return log_p.masked_fill(own, float("-inf")).logsumexp(dim=-1)


def _check(logits: Tensor, target: Tensor, kind: str) -> None:
    if logits.dim() == 0 or logits.shape[:-1] != target.shape or logits.shape[-1] < 2:
        raise DataError(
            f"Logits of shape {tuple(logits.shape)} don't fit classes of shape {tuple(target.shape)}.",
            "Logits are (..., K) with K of 2 or more, classes (...).",
        )
    if target.is_floating_point() or target.is_complex():
        raise DataError(f"The classes are {target.dtype}.", "They are int64: indices, and -1 where there is no label.")
    K = logits.shape[-1]
    wrong = target[(target < NO_EMOTION) | (target >= K)]
    if len(wrong):
        raise DataError(
            f"A label is {int(wrong[0])}; there are {K} classes.", "Labels are 0 to K - 1, or -1 where there is none."
        )
    if kind not in CLASS_LOSSES:
        raise RecipeError(f"There is no loss of classes called {kind!r}.", f"Known: {', '.join(CLASS_LOSSES)}.")


def configured_loss(logits: Tensor, target: Tensor, settings: ClassSettings) -> Tensor:
    """``classification_loss`` as a model's configuration has it."""
    return classification_loss(
        logits,
        target,
        settings.loss,
        gamma=settings.focal_gamma,
        weights=settings.class_weights,
        smoothing=settings.label_smoothing,
    )


def check_class_settings(settings: ClassSettings) -> None:
    """Refuse settings that don't go together.

    Raises
    ------
    RecipeError
        If there are classes without a loss of classes, or the other way round; a single class; weights of another
        number or size; a gamma or a smoothing out of range.
    """
    K, weights = settings.classes, settings.class_weights
    if K < 0 or K == 1:
        raise RecipeError(f"classes is {K}.", "Give 2 or more, or 0 for valence and arousal.")
    if (K > 0) != (settings.loss in CLASS_LOSSES):
        raise RecipeError(
            f"classes is {K}, and loss is {settings.loss}.",
            f"Losses of classes are {', '.join(CLASS_LOSSES)}; valence and arousal have 0 classes and other losses.",
        )
    if weights is not None:
        fits = len(weights) == K and all(math.isfinite(w) and w >= 0 for w in weights)
        if not fits or not any(weights):
            raise RecipeError(
                f"class_weights is {weights}, and there are {K} classes.",
                "Give one finite number of 0 or more for each class, one of them above 0.",
            )
    if not 0 <= settings.label_smoothing < 1:
        raise RecipeError(f"label_smoothing is {settings.label_smoothing}.", "Give 0 or more, and less than 1.")
    if not (math.isfinite(settings.focal_gamma) and settings.focal_gamma >= 0):
        raise RecipeError(f"focal_gamma is {settings.focal_gamma}.", "Give a finite number of 0 or more.")
