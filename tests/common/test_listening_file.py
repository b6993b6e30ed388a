"""The file of a clip's attention: what is written is read, whole or not at all, and only by whom it is for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import common.listening
from common.errors import CacheError
from common.files import sha256
from common.listening import LISTENING, Listening, read_listening, write_listening

PATHS = tuple(f"{m}->{n}" for m in ("visual", "audio", "text") for n in ("visual", "audio", "text") if m != n)
NUMBERS = st.floats(0, 1e6, width=32) | st.just(float("nan"))


def some(frames: int = 7, seed: int = 0) -> Listening:
    values = np.random.default_rng(seed).uniform(0, 3, (2, frames, 6)).astype(np.float32)
    values[:, 2, 1] = np.nan
    return Listening(PATHS, *values)


@given(
    clip=st.sampled_from(["talk", "<img src=x onerror=alert(1)>", "Größe 例 .mp4", "a b"]),
    content=st.text(max_size=20).filter(lambda text: not text.endswith("\0")),  # NumPy's texts end at zeros
    values=arrays.arrays(np.float32, st.tuples(st.just(2), st.integers(1, 9), st.just(6)), elements=NUMBERS),
)
def test_what_is_written_is_read(
    clip: str, content: str, values: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    run = tmp_path_factory.mktemp("run")
    path = write_listening(run, clip, content, Listening(PATHS, *values))
    assert path.parent == run / LISTENING and [one.name for one in path.parent.iterdir()] == [f"{clip}.npz"]
    found = read_listening(run, clip, content)
    assert found is not None and found.paths == PATHS
    for ours, theirs in zip((found.strength, found.attended), values, strict=True):
        assert ours.dtype == np.float32
        np.testing.assert_array_equal(ours, theirs)


def test_the_same_numbers_give_the_same_bytes(tmp_path: Path) -> None:
    one, two = (write_listening(tmp_path / name, "talk", "c", some()) for name in "ab")
    assert sha256(one) == sha256(two) != sha256(write_listening(tmp_path, "talk", "c", some(seed=1)))


def test_there_is_none_of_a_clip_never_asked_for_or_of_other_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert read_listening(tmp_path, "talk", "c") is None
    write_listening(tmp_path, "talk", "c", some())
    assert read_listening(tmp_path, "talk", "c") is not None
    assert read_listening(tmp_path, "talk", "d") is None
    monkeypatch.setattr(common.listening, "VERSION", common.listening.VERSION + 1)
    assert read_listening(tmp_path, "talk", "c") is None


def npy(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.zeros(3))


def shapes(**changed: Any) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        write_listening(path.parent.parent, path.stem, "c", replace(some(), **changed))

    return write


def without_strength(path: Path) -> None:
    with np.load(path) as file:
        kept = {name: file[name] for name in file.files if name != "strength"}
    np.savez(path, **kept)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"not a file of arrays"),
        lambda path: path.write_bytes(path.read_bytes()[:-100]),
        lambda path: path.write_bytes(path.read_bytes().replace(some().strength.tobytes(), bytes(7 * 6 * 4))),
        npy,
        without_strength,
        shapes(strength=some(5).strength),
        shapes(paths=PATHS[:5]),
        shapes(strength=some().strength[:, 0], attended=some().attended[:, 0]),
    ],
    ids=["empty", "text", "cut", "flipped", "npy", "lacking", "lengths", "paths", "axes"],
)
def test_a_broken_file_is_an_error_with_its_cure(spoil: Callable[[Path], None], tmp_path: Path) -> None:
    path = write_listening(tmp_path, "talk", "c", some())
    spoil(path)
    with pytest.raises(CacheError, match=r"talk\.npz can't be read .+ Delete it and ask for the attention again"):
        read_listening(tmp_path, "talk", "c")


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_listening(tmp_path, "talk", "c", some())
    before = path.read_bytes()

    def fill_the_disk(file: Any, **_: Any) -> None:
        file.write(b"PK")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", fill_the_disk)
    with pytest.raises(OSError, match="No space left"):
        write_listening(tmp_path, "talk", "d", some(seed=1))
    assert path.read_bytes() == before and list(path.parent.iterdir()) == [path]
