"""Equation 32 and 1 - CCC with their gradients, derived by hand; predictions and targets (N, 2), NaN = no label."""

from __future__ import annotations

import numpy as np


def valid_rows(target):
    return [i for i in range(len(target)) if not np.isnan(target[i]).any()]


def mse(prediction, target):
    """Eq. 32 and its gradient 2 (p - t) / N."""
    rows = valid_rows(target)
    gradient = np.zeros_like(prediction)
    total = 0.0
    for i in rows:
        (v, a), (v_hat, a_hat) = target[i], prediction[i]
        total += (v - v_hat) ** 2 + (a - a_hat) ** 2
        gradient[i] = 2 * (prediction[i] - target[i]) / len(rows)
    return total / len(rows), gradient


def ccc(x, y):
    """Section 4.3, with rho sigma_x sigma_y as printed."""
    rho = np.corrcoef(x, y)[0, 1]
    return 2 * rho * x.std() * y.std() / (x.var() + y.var() + (x.mean() - y.mean()) ** 2)


def one_minus_ccc(prediction, target):
    """1 - mean CCC and its gradient.

    With c = cov, s = var_x + var_y + (mx - my)^2 and n rows: dc/dx_i = (y_i - my) / n,
    ds/dx_i = 2 (x_i - mx) / n + 2 (mx - my) / n, and dCCC/dx_i = 2 (dc/dx_i s - c ds/dx_i) / s^2.
    """
    rows = valid_rows(target)
    gradient = np.zeros_like(prediction)
    values = []
    for axis in (0, 1):
        x, y = prediction[rows, axis], target[rows, axis]
        n, mx, my = len(rows), x.mean(), y.mean()
        c = np.mean((x - mx) * (y - my))
        s = x.var() + y.var() + (mx - my) ** 2
        dc, ds = (y - my) / n, 2 * (x - mx) / n + 2 * (mx - my) / n
        gradient[rows, axis] = -0.5 * 2 * (dc * s - c * ds) / s**2
        values.append(ccc(x, y))
    return 1 - np.mean(values), gradient


def loss(kind, prediction, target, weight):
    """Value and gradient of ``mse``, ``ccc`` (1 - CCC) or ``mse+ccc``, the second weighed."""
    if kind == "mse":
        return mse(prediction, target)
    if kind == "ccc":
        return one_minus_ccc(prediction, target)
    (one, one_gradient), (two, two_gradient) = mse(prediction, target), one_minus_ccc(prediction, target)
    return one + weight * two, one_gradient + weight * two_gradient
