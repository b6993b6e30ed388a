"""Mean and deviation of training data as the two vectors a model keeps: x -> (x - mean) * scale."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from common.errors import DataError

Floats = npt.NDArray[np.float32]

#: A dimension whose deviation is below this, or below this share of its mean, is constant but for rounding.
MIN_DEVIATION = 1e-6


def mean_and_scale(mean: npt.ArrayLike, std: npt.ArrayLike, width: int, what: str) -> tuple[Floats, Floats]:
    """Turn a mean and a standard deviation into what a model multiplies with.

    Parameters
    ----------
    mean, std : (width,) real
        Over the training data; std >= 0.
    width : int
        Dimensions the model expects.
    what : str
        Whose statistics they are, for messages.

    Returns
    -------
    mean, scale : (width,) float32
        scale = 1 / std; 0 for constant dimensions, which thereby become 0 instead of amplified rounding.

    Raises
    ------
    DataError
        If a shape is wrong, or a value isn't finite, or a deviation is negative.
    """
    m, s = np.asarray(mean, np.float64), np.asarray(std, np.float64)
    if m.shape != (width,) or s.shape != (width,):
        raise DataError(
            f"The statistics of {what} have shapes {m.shape} and {s.shape}; the model expects ({width},).",
            "Compute them from the features this model is for.",
        )
    if not (np.isfinite(m).all() and np.isfinite(s).all() and (s >= 0).all()):
        raise DataError(
            f"The statistics of {what} hold values that aren't finite, or a negative deviation.",
            "Look for NaN or infinite features in the training clips.",
        )
    constant = s <= MIN_DEVIATION * np.maximum(1.0, np.abs(m))
    scale = np.divide(1.0, s, out=np.zeros_like(s), where=~constant)
    return m.astype(np.float32), scale.astype(np.float32)
