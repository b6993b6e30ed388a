"""Training losses on valence and arousal, masked and differentiable (eq. 32, and 1 - CCC).

Losses are on valence and arousal, after the conversion from polar form: an error on theta itself would jump from 0 to
2 pi across the cut at +-pi, for points that lie side by side.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from common.errors import DataError, RecipeError

if TYPE_CHECKING:
    from torch import Tensor

LossKind = Literal["mse", "ccc", "mse+ccc"]

#: Below this (a standard deviation of 1e-4 on labels in [-1, 1]) nothing varies, and a CCC has no useful gradient.
MIN_CCC_DENOMINATOR = 1e-8


def regression_loss(prediction: Tensor, target: Tensor, kind: LossKind = "mse", ccc_weight: float = 0.1) -> Tensor:
    """Loss over the valid frames of a batch.

    Parameters
    ----------
    prediction : (..., 2) float
        Valence and arousal.
    target : (..., 2) float
        A frame with NaN in either place isn't valid: it enters neither the loss nor the gradient.
    kind : which loss
        ``mse``: eq. 32, the squared errors of valence and arousal added up, and the mean of that over the valid
        frames. ``ccc``: 1 - (CCC_v + CCC_a) / 2 over the valid frames of the batch, population moments.
        ``mse+ccc``: ``mse`` + ``ccc_weight`` * ``ccc``.
    ccc_weight : >= 0
        Used by ``mse+ccc`` alone.

    Returns
    -------
    () float32, or float64 for float64 predictions. 0, with a graph and a gradient of 0, where there is no valid frame
    (for ``ccc``: fewer than two).

    Raises
    ------
    DataError
        If the shapes don't fit.
    RecipeError
        If ``kind`` isn't known.
    """
    import torch

    if prediction.shape != target.shape or prediction.shape[-1] != 2:
        raise DataError(
            f"Predictions of shape {tuple(prediction.shape)} don't fit targets of shape {tuple(target.shape)}.",
            "Both are (..., 2): valence and arousal.",
        )
    dtype = torch.promote_types(prediction.dtype, torch.float32)  # sums over a batch overflow float16
    p = prediction.to(dtype).reshape(-1, 2)  # (N, 2)
    t = target.to(dtype).reshape(-1, 2)
    valid = ~torch.isnan(t).any(dim=-1, keepdim=True)  # (N, 1)
    # Before any product: 0 * NaN is NaN, also in a backward pass.
    p, t = torch.where(valid, p, 0), torch.where(valid, t, 0)
    if kind == "mse":
        return _squared_error(p, t, valid)
    if kind == "ccc":
        return _discordance(p, t, valid)
    if kind == "mse+ccc":
        return _squared_error(p, t, valid) + ccc_weight * _discordance(p, t, valid)
    raise RecipeError(f"There is no loss called {kind!r}.", "Known: mse, ccc, mse+ccc.")


def _squared_error(p: Tensor, t: Tensor, valid: Tensor) -> Tensor:
    """Eq. 32 over the valid frames; ``p`` and ``t`` are 0 elsewhere."""
    return (p - t).square().sum() / valid.sum().clamp_min(1)


def _discordance(p: Tensor, t: Tensor, valid: Tensor) -> Tensor:
    """1 - (CCC_v + CCC_a) / 2 over the valid frames; ``p`` and ``t`` are 0 elsewhere."""
    import torch

    n = valid.sum()
    divisor = n.clamp_min(1)
    mean_p, mean_t = p.sum(dim=0) / divisor, t.sum(dim=0) / divisor  # (2,)
    dp = torch.where(valid, p - mean_p, 0)
    dt = torch.where(valid, t - mean_t, 0)
    covariance = (dp * dt).sum(dim=0) / divisor
    spread = (dp.square() + dt.square()).sum(dim=0) / divisor
    denominator = spread + (mean_p - mean_t).square()
    concordance = 2 * covariance / denominator.clamp_min(MIN_CCC_DENOMINATOR)
    return torch.where(n >= 2, 1 - concordance.mean(), 0 * p.sum())
