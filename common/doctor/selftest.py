"""The doctor's side of the child process: start it, wait for it, put what it told into checks."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.doctor.check import Check
from common.doctor.surroundings import environment
from common.reasons import reason_of

if TYPE_CHECKING:
    from common.recipe import Recipe  # slow to import, and the child is to start first

SECTION = "self-test"

#: A child that has told nothing to its end after so long hangs: a driver, a dead mount.
PATIENCE_S = 300.0

#: Three clips, one for each split, of the least length.
_CLIPS, _LENGTH_S, _SIZE_PX = 3, 1.0, 128

_STAGES = {
    "stage 1": "frames, faces, sound and words through miniature encoders",
    "stage 2": "a fusion trained for an epoch, refined features exported",
    "stage 3": "a head trained for an epoch, predictions written",
}
_REPORT = "If the lines above don't explain it, report this screen."


def start(*, stages: bool, fetching: bool) -> subprocess.Popen[str]:
    """Start the child. It imports what it will need, most of the time that it takes, and waits for `ask`.

    Parameters
    ----------
    stages : is there to be a small run?
    fetching : may it reach the network?
    """
    command = [sys.executable, "-m", "common.doctor.child", *(["stages"] if stages else [])]
    pipe, surroundings = subprocess.PIPE, environment(offline=not fetching)
    return subprocess.Popen(
        command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, encoding="utf-8", errors="replace", env=surroundings
    )


def ask(child: subprocess.Popen[str], recipe: Recipe, device: str, folder: Path | None, *, fetching: bool) -> None:
    """Say what is to be looked at.

    Parameters
    ----------
    folder : where the small run may write, or None for none
    fetching : fetch the recogniser's model first
    """
    stage1 = recipe.stage1
    settings = {
        "stage1.visual.precision": stage1.visual.precision,
        "stage1.audio.precision": stage1.audio.precision,
        "stage1.text.precision": stage1.text.precision,
        "stage2.training.precision": recipe.stage2.training.precision,
        "stage3.training.precision": recipe.stage3.training.precision,
    }
    asked: dict[str, Any] = {
        "device": device,
        "precisions": sorted(set(settings.values())),
        "settings": [f"{key}={value}" for key, value in settings.items()],
        "detector": stage1.faces.detector,
        "recogniser": stage1.speech.recogniser,
        "model": stage1.speech.model,
        "fetching": fetching,
        "folder": None if folder is None else str(folder),
    }
    _tell(child, json.dumps(asked))


def _tell(child: subprocess.Popen[str], line: str) -> None:
    assert child.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # it has died, which `result` says
        child.stdin.write(f"{line}\n")
        child.stdin.flush()


def draw_clips(folder: Path, child: subprocess.Popen[str]) -> Iterator[Check]:
    """Render the clips of the small run while the child imports its libraries, and let it begin."""
    from common.datasets.demo import render_corpus

    began_s = time.perf_counter()
    render_corpus(folder / "corpus", clips=_CLIPS, seconds=_LENGTH_S, size_px=_SIZE_PX)
    seconds = time.perf_counter() - began_s
    _tell(child, "go")
    yield Check(
        SECTION, "clips", "ok", f"three of a second, drawn and spoken: {seconds:.1f} s", facts={"seconds": seconds}
    )


def result(child: subprocess.Popen[str], patience_s: float | None = PATIENCE_S) -> list[Check]:
    """Wait for the child, for ever where ``patience_s`` is None, and say what it found."""
    hung = False
    try:
        out, errors = child.communicate(timeout=patience_s)
    except subprocess.TimeoutExpired:
        hung = True
        child.kill()
        out, errors = child.communicate()
    told = _Told()
    for line in out.splitlines():
        told.take(line)
    checks = [*told.checks, *told.steps()]
    if told.ended:
        return checks
    how = f"hung for {patience_s or 0:.0f} s and was stopped" if hung else _end(child.returncode)
    last = reason_of(next((line for line in reversed(errors.splitlines()) if line.strip()), ""))
    text = f"the process {how} at this{f': {last}' if last else ''}"
    name = told.begun or "start"
    section = SECTION if name in _STAGES else "computing"
    cure = "A library doesn't suit this machine, or memory ran out: install torch and the others again, for this one."
    return [*checks, Check(section, name, "failed", text, cure)]


def _end(code: int) -> str:
    return f"died of {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


@dataclass
class _Told:
    """What the child has said so far."""

    checks: list[Check] = field(default_factory=list)
    begun: str = ""
    ended: bool = False
    imports_s: float = 0.0
    seconds: dict[str, float] = field(default_factory=dict)
    failed: dict[str, list[str]] = field(default_factory=dict)

    def take(self, line: str) -> None:
        try:
            values = json.loads(line)
        except ValueError:  # a library printed in between
            return
        if "begin" in values:
            self.begun = values["begin"]
        elif "check" in values:
            self.checks.append(Check(**values["check"]))
        elif "step" in values:
            name = values["step"]
            self.seconds[name] = self.seconds.get(name, 0.0) + values["seconds"]
            if values["code"] != 0:
                self.failed[name] = values["tail"]
        elif "imports" in values:
            self.imports_s = values["imports"]
        elif "end" in values:
            self.ended = True

    def steps(self) -> list[Check]:
        """A line for each stage, after one for the imports that they share."""
        found = []
        if self.seconds:
            text = f"torch, transformers: {self.imports_s:.1f} s, once for all"
            found.append(Check(SECTION, "imports", "ok", text, facts={"seconds": round(self.imports_s, 2)}))
        for name, seconds in self.seconds.items():
            facts: dict[str, Any] = {"seconds": round(seconds, 2)}
            if name in self.failed:
                said = self.failed[name]
                reason = next((line for line in said if line.startswith("error")), " ".join(said[-3:]))
                facts |= {"said": said}
                found.append(Check(SECTION, name, "failed", reason_of(reason), _REPORT, facts=facts))
            else:
                found.append(Check(SECTION, name, "ok", f"{_STAGES[name]}: {seconds:.1f} s", facts=facts))
        return found
