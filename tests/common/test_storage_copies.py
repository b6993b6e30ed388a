"""A cache and its address: alike after pull and publish, whatever was cut off, and nothing half taken for whole."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import fsspec
import h5py
import numpy as np
import pytest
from click.testing import CliRunner

from common.claims import Claim
from common.errors import UsageError
from common.partials import partial_name
from common.storage.address import Address
from common.storage.cli import main
from common.storage.copies import RECORD, Copy
from common.store import write_clip
from tests.common.test_store import clip_arrays

FOLDER = "features/0123456789abcdef"


@pytest.fixture
def far(tmp_path: Path) -> Path:
    folder = tmp_path / "far ü'"
    folder.mkdir()
    return folder


@pytest.fixture
def address(far: Path) -> Address:
    return Address(f"file://{far}")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A cache with what is copied in it, and with what isn't."""
    folder = tmp_path / "cache 1"
    for clip in ("a", "b ü", "c'"):
        write_clip(folder / FOLDER / f"{clip}.h5", clip_arrays(), {"clip": clip})
    (folder / FOLDER / "log.node-0a1b2c3d4e5f.jsonl").write_text("{}\n")
    (folder / FOLDER / partial_name("d.h5")).touch()
    (folder / FOLDER / ".failed").mkdir()
    (folder / FOLDER / ".failed" / "x.json").write_text("{}")
    assert Claim(folder / FOLDER / ".claims" / "a.claim").take()
    (folder / "scored").mkdir()
    (folder / "scored" / "0a.jsonl").write_text('{"model": "x"}\n')
    (folder / "models").mkdir()
    (folder / "models" / "weights").touch()
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    }


def published(cache: Path) -> dict[str, bytes]:
    return {name: content for name, content in files(cache).items() if not name.startswith("models")}


def test_what_is_published_is_pulled_elsewhere_and_neither_is_done_twice(
    address: Address, far: Path, cache: Path, tmp_path: Path
) -> None:
    first = Copy(cache, address).publish()
    assert (first.files, first.there, first.problems) == (5, 0, ())
    assert files(far) == published(cache) and not [path for path in far.rglob(".*")]
    assert Copy(cache, address).publish().files == 0
    other = tmp_path / "cache 2"
    assert Copy(other, address).pull().files == 5 and files(other) == published(cache)
    again = Copy(other, address).pull()
    assert (again.files, again.there) == (0, 5)
    assert Copy(other, address).publish().files == 0 and Copy(cache, address).pull().files == 0


def test_a_clip_made_anew_is_published_and_pulled_anew(address: Address, cache: Path, tmp_path: Path) -> None:
    Copy(cache, address).publish()
    other = tmp_path / "other"
    Copy(other, address).pull()
    write_clip(cache / FOLDER / "a.h5", clip_arrays(9), {"clip": "a"})
    assert Copy(cache, address).publish().files == 1
    assert Copy(other, address).pull().files == 1
    assert files(other) == published(cache)


def test_a_part_is_copied_alone(address: Address, far: Path, cache: Path) -> None:
    assert Copy(cache, address, ("scored",)).publish().files == 1
    assert list(files(far)) == ["scored/0a.jsonl"]


def test_lists_of_scored_models_are_joined(address: Address, cache: Path, tmp_path: Path) -> None:
    Copy(cache, address).publish()
    other = tmp_path / "other"
    (other / "scored").mkdir(parents=True)
    (other / "scored" / "0a.jsonl").write_text('{"model": "y"}\n{"mod')
    scored = ("scored",)
    Copy(other, address, scored).publish()
    Copy(cache, address, scored).pull()
    for folder in (cache, other):
        lines = (folder / "scored" / "0a.jsonl").read_text().splitlines()
        assert {json.loads(line)["model"] for line in lines} == {"x", "y"}
        assert not list((folder / "scored").glob(".*"))
    for folder in (cache, other):
        assert Copy(folder, address, scored).pull().files == Copy(folder, address, scored).publish().files == 0


def test_what_this_machine_has_made_stays(address: Address, cache: Path, tmp_path: Path) -> None:
    Copy(cache, address).publish()
    other = tmp_path / "other"
    write_clip(other / FOLDER / "a.h5", clip_arrays(9), {"clip": "a"})
    own = (other / FOLDER / "a.h5").read_bytes()
    Copy(other, address).pull()
    assert (other / FOLDER / "a.h5").read_bytes() == own


def test_a_damaged_clip_is_named_and_never_taken(address: Address, far: Path, cache: Path, tmp_path: Path) -> None:
    Copy(cache, address).publish()
    with h5py.File(far / FOLDER / "a.h5", "r") as file:
        offset = file["visual"].id.get_offset()
    damaged = bytearray((far / FOLDER / "a.h5").read_bytes())
    damaged[offset] ^= 1
    (far / FOLDER / "a.h5").write_bytes(damaged)
    (far / FOLDER / "b ü.h5").write_bytes((far / FOLDER / "b ü.h5").read_bytes()[:-100])
    other = tmp_path / "other"
    copied = Copy(other, address).pull()
    assert copied.files == 3 and len(copied.problems) == 2
    assert any("a.h5: the bytes of /visual don't match" in problem for problem in copied.problems)
    assert set(files(other)) == set(published(cache)) - {f"{FOLDER}/a.h5", f"{FOLDER}/b ü.h5"}
    Copy(cache, address).pull()
    assert Copy(cache, address).publish().files == 2, "whoever has it whole mends it"
    assert not Copy(other, address).pull().problems and files(other) == published(cache)


def test_keys_that_climb_out_are_named_and_passed_over(tmp_path: Path) -> None:
    store = fsspec.filesystem("memory")
    root = f"/{uuid.uuid4().hex}"
    store.pipe_file(f"{root}/{FOLDER}/log.jsonl", b"{}\n")
    content = store.store[f"{root}/{FOLDER}/log.jsonl"]
    store.store[f"{root}/features/../../evil"] = content
    try:
        result = CliRunner().invoke(main, ["pull", f"memory:/{root}", "--cache", str(tmp_path / "in" / "cache")])
        assert result.exit_code == 1 and "features/../../evil' can't be a file of a cache" in result.output
        assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == {"log.jsonl", RECORD}
    finally:
        for key in [key for key in store.store if key.startswith(root)]:
            del store.store[key]


SCRIPT = """
import os, sys
from pathlib import Path
from common.storage import copies
from common.storage.address import Address
copies._AT_ONCE = 1
left = [int(sys.argv[3])]
from fsspec.implementations.local import LocalFileSystem as Local
def count(name):
    wrapped = getattr(Local, name)
    def call(self, *a, **n):
        left[0] -= 1
        if left[0] < 0:
            if name == "put_file":
                Path(a[1]).write_bytes(Path(a[0]).read_bytes()[:50])
            os.kill(os.getpid(), 9)
        return wrapped(self, *a, **n)
    setattr(Local, name, call)
for name in ("makedirs", "put_file", "mv", "info"):
    count(name)
copies.Copy(Path(sys.argv[1]), Address(sys.argv[2])).publish()
"""


def test_killed_at_any_call_and_published_again_the_objects_are_the_same(
    address: Address, far: Path, cache: Path, tmp_path: Path
) -> None:
    for number in (1, 4, 5, 6, 7, 13):
        for path in far.iterdir():
            subprocess.run(["rm", "-r", str(path)], check=True)
        (cache / RECORD).unlink(missing_ok=True)
        arguments = [sys.executable, "-c", SCRIPT, str(cache), str(address), str(number)]
        killed = subprocess.run(arguments, cwd=Path(__file__).parents[2], capture_output=True)
        assert killed.returncode == -9, killed.stderr
        whole = published(cache)
        assert files(far).items() <= whole.items(), "what has its name is whole"
        other = tmp_path / f"other {number}"
        Copy(other, address).pull()
        assert files(other).items() <= whole.items()
        Copy(cache, address).publish()
        assert files(far) == whole and not [path for path in far.rglob(".*")], number


def test_a_file_replaced_while_it_is_put_is_put_again(
    address: Address, far: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from common.storage.remote import Remote

    real = Remote.put

    def replaced(self: Remote, source: Path, key: str) -> Any:
        entry = real(self, source, key)
        if key.endswith("a.h5"):
            write_clip(source, clip_arrays(9), {"clip": "a"})
        return entry

    with monkeypatch.context() as patched:
        patched.setattr(Remote, "put", replaced)
        Copy(cache, address).publish()
    assert Copy(cache, address).publish().files == 1
    assert files(far) == published(cache)


def test_a_torn_record_copies_again(address: Address, far: Path, cache: Path) -> None:
    Copy(cache, address).publish()
    record = cache / RECORD
    lines = record.read_text().splitlines(keepends=True)
    record.write_text("".join(lines[:-1]) + lines[-1][:30])
    assert Copy(cache, address).publish().files == 1
    assert Copy(cache, address).publish().files == 0 and files(far) == published(cache)


def test_one_folder_is_the_copy_of_one_address(address: Address, cache: Path, tmp_path: Path) -> None:
    Copy(cache, address).publish()
    with pytest.raises(UsageError, match="is a copy of .*, not of memory://other"):
        Copy(cache, Address("memory://other"))


def test_the_commands_say_what_they_did(address: Address, far: Path, cache: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["publish", address.text, "--cache", str(cache)])
    assert result.exit_code == 0 and "5 files (" in result.output and "published to file://" in result.output
    result = CliRunner().invoke(main, ["pull", address.text, "--cache", str(cache), "--part", "features"])
    assert result.exit_code == 0 and "0 files (0 B) fetched from" in result.output and "4 were there" in result.output
    (far / "tables").mkdir()
    (far / "tables" / "0a.h5").write_bytes(b"no HDF5")
    result = CliRunner().invoke(main, ["pull", address.text, "--cache", str(cache)])
    assert result.exit_code == 1 and "What was fetched isn't whole" in result.output
    assert np.all([not path.name.startswith(".0a") for path in (cache / "tables").iterdir()])
