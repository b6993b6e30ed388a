"""Two hundred damaged videos in one run: each is done or refused with a reason, and the run ends in order."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import struct
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from common.clip_log import ClipLog
from common.store import validate
from tests.integration.odd_files import grey, tone, write

PROJECT = Path(__file__).resolve().parent.parent.parent
EACH = 5
SETTINGS = ("stage1.faces.detector=none", "stage1.faces.crop_px=32")

#: What a field of a header may be damaged to.
EXTREMES = (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
HEADER = 800

#: Their endings, and what is in them: picture, sound, and more for `write`.
KINDS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "mp4": ("libx264", "aac", {"options": {"movflags": "faststart"}}),
    "mkv": ("libx264", "flac", {}),
    "webm": ("libvpx", "libopus", {}),
    "avi": ("mpeg4", "pcm_s16le", {}),
    "mpg": ("mpeg1video", "mp2", {}),
}

Mutation = Callable[[bytes, bytes, np.random.Generator], bytes]


def flipped(count: int) -> Mutation:
    def flip(content: bytes, other: bytes, rng: np.random.Generator) -> bytes:
        changed = np.frombuffer(content, np.uint8).copy()
        changed[rng.integers(len(changed), size=count)] ^= rng.integers(1, 256, count, dtype=np.uint8)
        return changed.tobytes()

    return flip


def truncated(content: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    return content[: rng.integers(1, len(content))]


def swapped(content: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    a, b, c = sorted(rng.integers(len(content), size=3))
    return content[:a] + content[b:c] + content[a:b] + content[c:]


def doubled(content: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    a, b = sorted(rng.integers(len(content), size=2))
    return content[:b] + content[a:]


def grafted(content: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    a, b = sorted(rng.integers(len(content), size=2))
    start = rng.integers(len(other))
    return content[:a] + other[start : start + b - a] + content[b:]


def zeroed(content: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    length = int(rng.integers(1, len(content) // 4))
    start = int(rng.integers(len(content) - length))
    return content[:start] + bytes(length) + content[start + length :]


def header_changed(content: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    changed = bytearray(content)
    struct.pack_into(">I", changed, int(rng.integers(min(HEADER, len(content) - 4))), int(rng.choice(EXTREMES)))
    return bytes(changed)


MUTATIONS: dict[str, Mutation] = {
    "flip1": flipped(1),
    "flip10": flipped(10),
    "flip100": flipped(100),
    "cut": truncated,
    "swap": swapped,
    "double": doubled,
    "graft": grafted,
    "zero": zeroed,
}


def damaged(folder: Path, seed: int = 0) -> list[str]:
    """Write every kind of file with every mutation, always the same; give the clips' names."""
    rng = np.random.default_rng(seed)
    whole = {}
    pictures = [grey(20 + 9 * i) for i in range(20)]
    for picture in pictures:
        picture[::7, ::5] = rng.integers(0, 255, (7, 13, 3))
    for ending, (video, audio, more) in KINDS.items():
        path = folder / f"whole.{ending}"
        whole[ending] = write(path, pictures, codec=video, sound=(audio, 0, tone(0.8)), **more).read_bytes()
        path.unlink()
    names = []
    for index, (ending, content) in enumerate(whole.items()):
        other = list(whole.values())[index - 1]
        for kind, mutate in MUTATIONS.items():
            for number in range(EACH):
                # Half of the flips hit the header, which is a small part of the file and decides the most.
                change = header_changed if kind in {"flip1", "flip10"} and number % 2 else mutate
                names.append(f"{ending}-{kind}-{number}")
                (folder / f"{names[-1]}.{ending}").write_bytes(change(content, other, rng))
    return names


def extract(folder: Path) -> tuple[int, str]:
    """Exit code and output of the real command; no process of it may outlive it."""
    sets = [part for setting in SETTINGS for part in ("--set", setting)]
    places = ["--cache", str(folder / "cache"), "--run", str(folder / "run"), "--device", "cpu"]
    command = ["-m", "stage1_embeddings", "extract", "--data", str(folder / "data"), "--recipe", "demo"]
    process = subprocess.Popen(
        [sys.executable, *command, *sets, *places, "--workers", "2"], cwd=PROJECT, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    try:
        output, _ = process.communicate(timeout=240)
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    until_s = time.monotonic() + 5
    while outlived := members(process.pid):
        assert time.monotonic() < until_s, f"left behind: {outlived}"
        time.sleep(0.05)
    return process.returncode, output


def members(session: int) -> list[int]:
    """Processes of a session that aren't at their end; none where there is no /proc to look into."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # gone in the meantime
            state, _, _, own = path.read_text().rpartition(")")[2].split()[:4]
            if int(own) == session and state not in "ZX":
                found.append(int(path.parent.name))
    return found


def left_in(folder: Path) -> set[str]:
    """Names in the folders of features, clips, log and marks apart."""
    known = {".failed", ".claims", ".index", ClipLog(folder).path.name}
    found = [path for features in (folder / "cache" / "features").iterdir() for path in features.iterdir()]
    return {path.name for path in found if path.suffix != ".h5" and path.name not in known}


def test_two_hundred_damaged_files(models: Path, tmp_path: Path) -> None:
    for name in ("data", "cache"):
        (tmp_path / name).mkdir()
    (tmp_path / "cache" / "models").symlink_to(models / "models")
    names = damaged(tmp_path / "data")
    assert len(names) == len(set(names)) == 200
    code, output = extract(tmp_path)
    assert code == 1 and "Traceback" not in output, output
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    done = {clip["id"] for clip in manifest["clips"]}
    failures = {failure["id"]: failure for failure in manifest["failures"]}
    assert done | set(failures) == set(names) and len(done) + len(failures) == 200
    for clip in done:
        validate(tmp_path / "cache" / manifest["folder"] / f"{clip}.h5")
    assert {path.stem for path in tmp_path.glob("cache/features/*/*.h5")} == done, "a file of a clip that failed"
    for failure in failures.values():
        assert failure["id"] in failure["problem"] and failure["problem"].endswith(".") and failure["cure"]
    reasons = Counter(reason(failure) for failure in failures.values())
    assert not reasons["hung"] and not reasons["unexpected"], [f for f in failures.values() if reason(f) != "refused"]
    assert len(done) >= 30 and reasons["refused"] >= 60, (len(done), reasons)
    assert left_in(tmp_path) == set()
    (log,) = tmp_path.glob("cache/features/*/log.*.jsonl")
    before = log.read_text()
    code, output = extract(tmp_path)
    assert code == 1 and "Traceback" not in output, output
    assert log.read_text() == before, "something was done again"
    again = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert again["clips"] == manifest["clips"]
    assert {failure["id"]: failure for failure in again["failures"]} == failures


def reason(failure: dict[str, str]) -> str:
    if "has hung" in failure["problem"]:
        return "hung"
    if "the process that decoded it died" in failure["problem"]:
        return "crashed"
    return "unexpected" if "unexpected" in failure["cure"] else "refused"
