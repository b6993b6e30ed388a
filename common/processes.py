"""Several processes that train one model, started by torchrun or accelerate launch with their ranks in the environment.

With one process all of this does nothing, and torch.distributed isn't imported.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

from common.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

T = TypeVar("T")

#: How long one process waits for another: the first one computes the statistics of all features while others wait; or
#: it waits for another run to be done with the same part (common/alone.py).
_WAIT: Final = timedelta(days=7)
_SAID: Final = "maven/said"
#: How often, and how long, a process tries to ask torchrun whether another has said what went wrong.
_TRIES: Final = 3
_ASK: Final = timedelta(seconds=2)


def count() -> int:
    """How many processes train together."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "RANK" in os.environ else 1


def index() -> int:
    """Which of them this one is, from 0."""
    return int(os.environ["RANK"]) if count() > 1 else 0


def first() -> bool:
    """Is this the process that says and writes what is said and written once?"""
    return index() == 0


def several() -> bool:
    """Are there others?"""
    return count() > 1


def own_gpu(gpus: int) -> int:
    """The GPU of this process, one of the ``gpus`` of this machine.

    Raises
    ------
    UsageError
        If the processes of this machine are more than its GPUs.
    """
    local = int(os.environ.get("LOCAL_RANK", "0")) if several() else 0
    if local >= gpus:
        here = os.environ.get("LOCAL_WORLD_SIZE", str(local + 1))
        raise UsageError(
            f"{here} processes were started on this machine, and it has {gpus} GPU{'' if gpus == 1 else 's'}.",
            "Start as many as there are GPUs, or set DEVICE=cpu.",
        )
    return local


@contextlib.contextmanager
def together(device: str) -> Iterator[None]:
    """What is inside runs in all processes as one group: gloo between processors, NCCL between GPUs.

    All leave it when the last one has come to its end. Once in the life of a process; what is within another, is part
    of its group.

    Raises
    ------
    UsageError
        If ``device`` is one GPU by number, or of a kind that processes can't share work on.
    """
    if not several() or grouped():
        yield
        wait_for_all()
        return
    import torch
    from torch import distributed

    from common.device import torch_device

    place = torch_device(device)
    if place.type not in ("cpu", "cuda"):
        raise UsageError(f"DEVICE={device}: several processes train on processors or GPUs of CUDA.", "Set DEVICE=cpu.")
    if place.type == "cuda":
        torch.cuda.set_device(place)
    # Arrays in this program's memory go by gloo in either case.
    distributed.init_process_group("cpu:gloo,cuda:nccl" if place.type == "cuda" else "gloo", timeout=_WAIT)
    try:
        yield
        distributed.barrier()
    finally:
        distributed.destroy_process_group()


def grouped() -> bool:
    """Does this run inside of `together`, with others?"""
    if not several():
        return False
    from torch import distributed

    return bool(distributed.is_available() and distributed.is_initialized())


def wait_for_all() -> None:
    """Go on when all processes have come this far."""
    if grouped():
        from torch import distributed

        distributed.barrier()


def from_first(make: Callable[[], T]) -> T:
    """What ``make`` returns in the first process, in all of them; the others don't call it."""
    if not grouped():
        return make()
    from torch import distributed

    box: list[Any] = [make() if first() else None]
    distributed.broadcast_object_list(box, src=0)
    made: T = box[0]
    return made


def from_all(value: T) -> list[T]:
    """Each process's ``value``, in the order of the processes."""
    if not grouped():
        return [value]
    from torch import distributed

    values: list[Any] = [None] * count()
    distributed.all_gather_object(values, value)
    return values


def rows_of_all(prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """The rows of all processes' parts of a batch, so that each computes the loss of the whole batch.

    Parameters
    ----------
    prediction : (N, C) float
    target : (N, ...), the same rows; N may differ from one process to the other

    Returns
    -------
    The same with the rows of all processes one after the other; as they are where no gradient is asked for, or where
    there is one process. The gradient of ``prediction`` is that of the whole batch's loss times the number of
    processes: DistributedDataParallel takes the mean of the processes' gradients, and their sum is meant.
    """
    import torch

    if not (torch.is_grad_enabled() and grouped()):
        return prediction, target
    from common.joined import joined

    wide = torch.promote_types(prediction.dtype, torch.float32)
    return joined(prediction.to(wide)), joined(target)


def lost_another(error: Exception) -> bool:
    """Was ``error`` raised because another process of the group is gone?"""
    if not several():
        return False
    from torch.distributed import DistError

    return isinstance(error, DistError) or any(sign in str(error) for sign in ("gloo", "NCCL", "Connection"))


def says_the_error() -> bool:
    """Is this the process that says what ended them all? The one that asks first; each where that can't be known."""
    if not several():
        return True
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

    for _ in range(_TRIES):
        with contextlib.suppress(KeyError, ValueError, RuntimeError):
            place, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
            store = TCPStore(place, port, is_master=False, timeout=_ASK)
            return bool(store.add(f"{_SAID}/{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", 1) == 1)
    return True
