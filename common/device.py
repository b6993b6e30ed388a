"""Where and in which precision a network runs, and whether it fits there."""

from __future__ import annotations

import ctypes
import functools
import logging
import sys
from typing import Any

from common.errors import UsageError
from common.reasons import headline_of, says_no_memory
from common.recipe import Precision

_LOG = logging.getLogger(__name__)

#: Of glibc's malloc.h: from how many bytes on a block is mapped by itself, and above how many free ones at the end of
#: the heap are given back.
_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD = -3, -1


def torch_device(name: str) -> Any:
    """``auto``, ``cpu``, ``cuda`` (or ``cuda:1``) or ``mps`` as a torch device.

    Of several processes on a machine, each gets a GPU of its own for ``cuda``.

    Raises
    ------
    UsageError
        If the device isn't there, or if it is one GPU for several processes.
    """
    import torch

    from common import processes

    torch.backends.cudnn.allow_tf32 = False  # by default, convolutions alone would be TF32: ten bits, in silence
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    if processes.several() and name == "cuda" and torch.cuda.is_available():
        name = f"cuda:{processes.own_gpu(torch.cuda.device_count())}"
    elif processes.several() and name.startswith("cuda:"):
        raise UsageError(f"DEVICE={name} is one GPU, for {processes.count()} processes.", "Set DEVICE=cuda.")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        problem = f"DEVICE={name} isn't available: {headline_of(error)}."
        raise UsageError(problem, "Use auto, cpu, cuda or mps.") from error
    return device


def torch_dtype(precision: Precision, device: Any) -> Any:
    """The torch dtype of a precision; float16 is refused on a CPU, where it is slow and incomplete.

    bfloat16 where the hardware has no arithmetic for it works, but slowly: that is said once.
    """
    import torch

    if precision == "float16" and device.type == "cpu":
        raise UsageError("precision: float16 doesn't run on a CPU.", "Use bfloat16 or float32 there.")
    if precision == "bfloat16":
        _warn_of_slow_bfloat16(device.type)
    return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[precision]


@functools.cache
def _warn_of_slow_bfloat16(kind: str) -> None:
    """Once for each kind of device."""
    if not has_bfloat16(kind):
        _LOG.warning("precision: bfloat16 is emulated on this %s: expect float32 to be faster.", kind)


def has_bfloat16(kind: str) -> bool:
    """Does the hardware of this kind (``cpu``, ``cuda``) compute in bfloat16? Of others nothing is known: True."""
    import torch

    if kind == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if kind == "cpu":
        return any(has for name, has in torch.cpu.get_capabilities().items() if name.endswith("bf16"))
    return True


@functools.cache
def keep_freed_memory() -> None:
    """Ask glibc to keep what tensors on the CPU leave for the next ones.

    By default each large tensor is fresh memory from the system and goes back to it: clearing its pages takes up to a
    fifth of an encoder's time. The peak grows by up to a third. Elsewhere than on Linux nothing is done; another
    allocator, or a glibc that doesn't let blocks of 1 GiB come from its heap, goes on as it did.
    """
    set_option = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    # The second alone would be worse than nothing: it ends the first one's growth with use.
    if set_option is not None and set_option(_M_MMAP_THRESHOLD, 1 << 30):
        set_option(_M_TRIM_THRESHOLD, (1 << 31) - 1)


def memory_ran_out(error: Exception) -> bool:
    """Is it this, in whatever words the device says it?"""
    from accelerate.utils.memory import should_reduce_batch_size

    return says_no_memory(error) or should_reduce_batch_size(error)
