"""Where and in which precision a network runs."""

from __future__ import annotations

from typing import Any

from common.errors import UsageError
from common.recipe import Precision


def torch_device(name: str) -> Any:
    """``auto``, ``cpu``, ``cuda`` (or ``cuda:1``) or ``mps`` as a torch device.

    Raises
    ------
    UsageError
        If the device isn't there.
    """
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"DEVICE={name} isn't available: {reason}.", "Use auto, cpu, cuda or mps.") from error
    return device


def torch_dtype(precision: Precision, device: Any) -> Any:
    """The torch dtype of a precision; float16 is refused on a CPU, where it is slow and incomplete."""
    import torch

    if precision == "float16" and device.type == "cpu":
        raise UsageError("precision: float16 doesn't run on a CPU.", "Use bfloat16 or float32 there.")
    return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[precision]
