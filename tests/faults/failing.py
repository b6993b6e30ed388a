"""What is done to a process before its commands begin: calls that fail, a clock that jumps, memory that runs out."""

from __future__ import annotations

import builtins
import contextlib
import datetime
import io
import itertools
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

#: What writes, by what fails: a call of the system, of HDF5, of safetensors, of torch, a temporary file.
KINDS = ("replace", "fsync", "mkdir", "write", "hdf5", "spool", "safetensors", "torch.save")


class Nth:
    """Counts calls below ``root``; the ``n``-th fails with ``number``. ``log`` gets how many there were."""

    def __init__(self, n: int, number: int, root: Path, log: Path) -> None:
        self.n, self.number, self.root, self.log = n, number, str(root), log
        self.calls = 0

    def __call__(self, path: Any, error: Callable[[str], Exception] | None = None) -> None:
        if not str(path).startswith(self.root):
            return
        self.calls += 1
        _raw_write(self.log, str(self.calls))
        if self.calls == self.n:
            reason = os.strerror(self.number)
            raise error(reason) if error else OSError(self.number, reason, str(path))


def _raw_write(path: Path, text: str) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.write(handle, text.encode())
    os.close(handle)


def fail(kind: str, n: int, number: int, root: Path, log: Path) -> None:
    """Let the ``n``-th call of a kind below ``root`` fail; with n = 0 only count."""
    nth = Nth(n, number, root, log)
    {
        "replace": _replace,
        "fsync": _fsync,
        "mkdir": _mkdir,
        "write": _write,
        "hdf5": _hdf5,
        "spool": _spool,
        "safetensors": _safetensors,
        "torch.save": _torch_save,
    }[kind](nth)


def _replace(nth: Nth) -> None:
    for name in ("replace", "rename"):
        _before(os, name, lambda source, target, **_: nth(target))


def _fsync(nth: Nth) -> None:
    _before(os, "fsync", lambda handle: nth(os.readlink(f"/proc/self/fd/{handle}")))  # noqa: PTH115


def _mkdir(nth: Nth) -> None:
    _before(os, "mkdir", lambda path, *_, **__: None if os.path.exists(path) else nth(path))  # noqa: PTH110


def _write(nth: Nth) -> None:
    true = io.open

    def opened(file: Any, mode: str = "r", *rest: Any, **named: Any) -> Any:
        found = true(file, mode, *rest, **named)
        if set(mode) & set("wax+") and str(file).startswith(nth.root):
            return _Failing(found, lambda: nth(file))
        return found

    io.open = builtins.open = opened  # type: ignore[assignment]


def _spool(nth: Nth) -> None:
    true = tempfile.TemporaryFile

    def opened(*arguments: Any, dir: Any = None, **named: Any) -> Any:
        return _Failing(true(*arguments, dir=dir, **named), lambda: nth(dir))

    tempfile.TemporaryFile = opened  # type: ignore[assignment]


class _Failing:
    """A file whose ``write`` is preceded by a call that may fail."""

    def __init__(self, file: Any, before: Callable[[], None]) -> None:
        self._file, self._before = file, before

    def write(self, content: Any) -> Any:
        self._before()
        return self._file.write(content)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> _Failing:
        self._file.__enter__()
        return self

    def __exit__(self, *error: Any) -> Any:
        return self._file.__exit__(*error)

    def __iter__(self) -> Any:
        return iter(self._file)


def _hdf5(nth: Nth) -> None:
    import h5py

    _before(h5py.Group, "create_dataset", lambda group, *_, **__: nth(group.file.filename))
    _before(h5py.Dataset, "__setitem__", lambda dataset, *_: nth(dataset.file.filename))


def _safetensors(nth: Nth) -> None:
    import safetensors.torch
    from safetensors import SafetensorError

    def error(reason: str) -> Exception:
        return SafetensorError(f"Error while serializing: I/O error: {reason} (os error {nth.number})")

    _before(safetensors.torch, "serialize_file", lambda tensors, path, *_, **__: nth(path, error))


def _torch_save(nth: Nth) -> None:
    import torch

    def error(reason: str) -> Exception:
        return RuntimeError(f"[enforce fail at inline_container.cc:672] . unexpected pos 64 vs 0 ({reason})")

    _before(torch, "save", lambda values, path, *_, **__: nth(path, error))


def _before(owner: Any, name: str, check: Callable[..., None]) -> None:
    true = getattr(owner, name)

    def called(*arguments: Any, **named: Any) -> Any:
        check(*arguments, **named)
        return true(*arguments, **named)

    setattr(owner, name, called)


def clock_jumps(*years: float) -> None:
    """Each reading of the wall clock is off by another of so many years, in turn."""
    offsets = itertools.cycle(365.25 * 86_400 * one for one in years)
    true_s, true_ns, true_class = time.time, time.time_ns, datetime.datetime
    time.time = lambda: true_s() + next(offsets)
    time.time_ns = lambda: true_ns() + int(next(offsets) * 1e9)

    class Jumping(true_class):  # type: ignore[misc, valid-type]
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return true_class.now(tz) + datetime.timedelta(seconds=next(offsets))

    datetime.datetime = Jumping  # type: ignore[misc]


def memory_for(items: int) -> None:
    """The encoders' networks run out of memory above so many items at once."""
    from stage1_embeddings.encoders.frozen import Frozen

    true = Frozen.forward

    def forward(self: Any, **inputs: Any) -> Any:
        if len(next(value for value in inputs.values() if hasattr(value, "shape"))) > items:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory")
        return true(self, **inputs)

    Frozen.forward = forward  # type: ignore[method-assign]


def memory_limit(spare_bytes: int) -> None:
    """No more memory than there is in use now, and so many bytes."""
    import resource

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * os.sysconf("SC_PAGE_SIZE") + spare_bytes
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def training_out_of_memory(step: int) -> None:
    """Training runs out of memory at a step."""
    from transformers import Trainer

    steps = itertools.count(1)
    true = Trainer.compute_loss

    def compute_loss(self: Any, *arguments: Any, **named: Any) -> Any:
        if self.model.training and next(steps) == step:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return true(self, *arguments, **named)

    Trainer.compute_loss = compute_loss


def gradient_is_nan(step: int) -> None:
    """A gradient is no number at a step, though the loss is."""
    from transformers import Trainer

    steps = itertools.count(1)
    true = Trainer.training_step

    def training_step(self: Any, model: Any, *arguments: Any, **named: Any) -> Any:
        loss = true(self, model, *arguments, **named)
        if next(steps) == step:
            next(p for p in model.parameters() if p.grad is not None).grad.fill_(float("nan"))
        return loss

    Trainer.training_step = training_step


def as_user(number: int) -> None:
    """Go on without root's rights."""
    with contextlib.suppress(OSError):
        os.setgroups([])
    os.setgid(number)
    os.setuid(number)
