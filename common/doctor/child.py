"""What needs torch, in a process of its own: networks, device, decoders, and a small run through the three stages.

    python -m common.doctor.child [stages]

What is asked comes as a line of JSON on stdin, once the libraries are imported: that takes longer than all the rest.
A library that crashes, or a driver that hangs, takes this process with it and not the doctor, who knows from the last
line what was being done. One JSON object a line goes to stdout; what the stages print is kept and its end told.
"""

from __future__ import annotations

import contextlib
import io
import json
import runpy
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from common.doctor import networks
from common.doctor.check import Check, looked_at

#: The demo as small as it still trains.
_SETTINGS = (
    "name=doctor",
    "stage2.window={frames: 16, hop_frames: 8}",
    "stage2.training.epochs=1",
    "stage2.fusion.d_proj=16",
    "stage2.fusion.d_k=8",
    "stage3.training.epochs=1",
)
_TAIL_LINES = 6


def main() -> None:
    out = sys.stdout

    def tell(**values: Any) -> None:
        print(json.dumps(values), file=out, flush=True)

    def look(name: str, what: Callable[[], Iterable[Check]]) -> bool:
        """Tell what is found; False where it stops a run."""
        tell(begin=name)
        checks = looked_at(networks.SECTION, name, what)
        for check in checks:
            tell(check=check.as_json())
        return not any(check.stops for check in checks)

    began_s = time.perf_counter()
    tell(begin="imports")
    with contextlib.suppress(ImportError, OSError):  # what is wrong with them is said below
        _import_libraries(all_of_them="stages" in sys.argv[1:])
    tell(imports=time.perf_counter() - began_s)
    asked = json.loads(sys.stdin.readline() or "null")
    if asked is None:
        return  # the doctor is gone
    noise = io.StringIO()
    with contextlib.redirect_stdout(noise), contextlib.redirect_stderr(noise):
        look("codecs", networks.codecs)
        look("faces", lambda: networks.face_detectors(asked["detector"]))
        sound = look("torch", networks.torch_build)
        sound = sound and look("device", lambda: networks.device(asked["device"]))
        sound = sound and look("precision", lambda: networks.precisions(asked["device"], asked["precisions"]))
        look("speech", lambda: networks.recogniser(asked["recogniser"], asked["model"], fetching=asked["fetching"]))
    # The doctor draws the clips meanwhile; where it can't, there is nothing to read.
    drawn = asked["folder"] is not None and sys.stdin.readline()
    if drawn and not sound:
        text = "not run: torch can't compute here as asked"
        tell(check=Check("self-test", "stages", "warning", text).as_json())
    elif drawn:
        steps = _steps(Path(asked["folder"]), asked["device"], asked["settings"])
        for name, step in steps:
            tell(begin=name)
            if not _done(name, step, tell):
                break
    tell(end=True)


def _import_libraries(*, all_of_them: bool) -> None:
    """All that the stages import, at once, to know how long it takes."""
    import torch  # noqa: F401

    if all_of_them:
        from transformers import HubertModel, RobertaModel, SwinModel, Trainer  # noqa: F401


def _steps(folder: Path, device: str, settings: list[str]) -> list[tuple[str, Callable[[], None]]]:
    recipe = ["--recipe", "demo"]
    for setting in (*_SETTINGS, *settings):
        recipe += ["--set", setting]
    places = ["--cache", str(folder / "cache"), "--run", str(folder / "run"), "--device", device]
    data = ["--data", str(folder / "corpus")]

    def command(package: str, *arguments: str) -> Callable[[], None]:
        return lambda: _command(package, [*arguments, *places])

    return [
        ("stage 1", command("stage1_embeddings", "extract", *data, "--workers", "0", *recipe)),
        ("stage 2", command("stage2_beit", "train", *recipe)),
        ("stage 2", command("stage2_beit", "export")),
        ("stage 3", command("stage3_mlp", "train", *recipe)),
        ("stage 3", command("stage3_mlp", "predict")),
    ]


def _command(package: str, arguments: list[str]) -> None:
    """``python -m package arguments`` in this process, so that torch is imported once."""
    sys.argv = [package, *arguments]
    runpy.run_module(package, run_name="__main__", alter_sys=True)


def _done(name: str, step: Callable[[], None], tell: Callable[..., None]) -> bool:
    """Do a step and tell how it went; False where it failed."""
    said, code = io.StringIO(), 0
    began_s = time.perf_counter()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            step()
        except SystemExit as end:  # click's way to end a command
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        except Exception as error:  # shown, as the reason why the step failed
            said.write(f"\n{type(error).__name__}: {error}")
            code = 1
    lines = [line for line in said.getvalue().splitlines() if line.strip()]
    tell(step=name, seconds=time.perf_counter() - began_s, code=code, tail=lines[-_TAIL_LINES:])
    return code == 0


if __name__ == "__main__":
    main()
