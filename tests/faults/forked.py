"""The stages' own commands in processes that start at once: forked from an interpreter that has imported everything."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: What the commands import on their way; a fork of this process has it already.
EVERYTHING = (
    "tests.faults.forked",
    "tests.faults.failing",
    *("accelerate", "av", "cv2", "h5py", "matplotlib.pyplot", "pyarrow", "torch", "transformers"),
    *("transformers.trainer", "safetensors.torch", "torch.utils.tensorboard", "torch._dynamo", "sklearn.metrics"),
    *("stage1_embeddings.cli", "stage1_embeddings.extract", "stage1_embeddings.front_end"),
    *("stage1_embeddings.encoders.visual", "stage1_embeddings.encoders.audio", "stage1_embeddings.encoders.text"),
    *("stage1_embeddings.encoders.miniature", "stage2_beit.cli", "stage2_beit.train", "stage2_beit.export"),
    *("stage2_beit.build", "stage2_beit.model", "stage3_mlp.cli", "stage3_mlp.train", "stage3_mlp.test"),
    *("stage3_mlp.head", "stage3_mlp.dimensions", "stage3_mlp.report.test_page", "stage3_mlp.views.clip_pages"),
)

Command = Sequence[str]
#: Done to the child before its commands begin; it must be a function of a module, or a partial of one.
Fault = Callable[[], object]

_BEGUN = "== begun"


@dataclass
class Child:
    """One process that runs the commands of a stage, and all that it says."""

    process: Any
    out: Path
    begun_s: float = 0.0
    seconds: float = 0.0

    def wait_until_begun(self) -> None:
        while _BEGUN not in self.said and self.process.is_alive():
            time.sleep(0.001)
        self.begun_s = time.monotonic()

    def ended_by(self, seconds: float) -> bool:
        """Wait so long after its beginning; has it ended by then?"""
        self.process.join(max(0.0, self.begun_s + seconds - time.monotonic()))
        return self.process.exitcode is not None

    def send(self, number: signal.Signals) -> None:
        os.kill(self.process.pid, number)

    def end(self, limit_s: float = 120.0) -> int:
        """The exit code; a process that hangs is killed, and that is an error."""
        self.process.join(limit_s)
        self.seconds = time.monotonic() - self.begun_s
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()
            raise AssertionError(f"hung for {limit_s} s:\n{self.said}")
        return int(self.process.exitcode)

    @property
    def said(self) -> str:
        return self.out.read_text(errors="replace") if self.out.exists() else ""


class Forks:
    """Starts children; their output goes to files in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(list(EVERYTHING))
        self._folder = folder
        self._count = 0

    def start(self, commands: Sequence[Command], fault: Fault | None = None) -> Child:
        self._count += 1
        out = self._folder / f"{self._count}.txt"
        process = self._context.Process(target=_run, args=(list(map(list, commands)), out, fault))
        process.start()
        child = Child(process, out)
        child.wait_until_begun()
        return child

    def run(self, commands: Sequence[Command], fault: Fault | None = None) -> Child:
        child = self.start(commands, fault)
        child.end()
        return child


def _run(commands: list[list[str]], out: Path, fault: Fault | None) -> None:
    import importlib

    handle = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    sys.stdout = open(1, "w", buffering=1, closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if fault is not None:
        fault()
    print(_BEGUN, flush=True)  # noqa: T201
    for module, *arguments in commands:
        try:
            sys.argv = [f"{module}/__main__.py", *arguments]
            importlib.import_module(f"{module}.cli").main(arguments, prog_name=f"python -m {module}")
        except SystemExit as end:
            if end.code:
                raise
        except KeyboardInterrupt:  # between two commands, where make would be
            print("between two commands", flush=True)  # noqa: T201
            sys.exit(130)
