"""Checksums of what is read again: sealed JSON, checkpoints, models; lines that a full disk cut off."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from common.artefacts import is_current, not_written, read_record
from common.errors import CacheError
from common.files import append_line, sha256, write_json
from common.sealed import read_sealed, write_sealed
from common.training.checkpoints import last_checkpoint

VALUES = {"a": [1, 2.5, None], "name": "Grüße", "nested": {"b": True}}


def test_a_flipped_bit_is_no_new_value(tmp_path: Path) -> None:
    path, rng = tmp_path / "a.json", random.Random(0)
    write_sealed(path, VALUES)
    assert read_sealed(path, cure="") == VALUES and json.loads(path.read_text())["name"] == "Grüße"
    whole, found = path.read_bytes(), 0
    for _ in range(200):
        content = bytearray(whole)
        content[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
        path.write_bytes(content)
        try:
            assert read_sealed(path, cure="Mend it.") == VALUES
        except CacheError as error:
            assert "a.json doesn't match its checksum" in str(error) and str(error).endswith("Mend it.")
            found += 1
        except ValueError:
            found += 1
    assert found > 50


def test_json_without_a_checksum_is_taken_as_it_is(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", VALUES)
    assert read_sealed(tmp_path / "a.json", cure="") == VALUES


def model(folder: Path) -> dict[str, Any]:
    folder.mkdir()
    for name in ("model.safetensors", "config.json"):
        (folder / name).write_text(name)
    files = {name: sha256(folder / name) for name in ("model.safetensors", "config.json")}
    record = {"fingerprint": "f", "weights_sha256": files["model.safetensors"], "files_sha256": files}
    write_sealed(folder / "record.json", record)
    return record


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "record.json"])
def test_a_damaged_model_is_trained_again_and_said(tmp_path: Path, name: str) -> None:
    record, said = model(tmp_path / "m"), list[str]()
    assert is_current(tmp_path / "m", "f", said.append) and not said
    assert read_record(tmp_path / "m", made_by="") == record
    content = bytearray((tmp_path / "m" / name).read_bytes())
    content[5] ^= 1
    (tmp_path / "m" / name).write_bytes(content)
    assert not is_current(tmp_path / "m", "f", said.append)
    assert len(said) == 1 and said[0].startswith("Trained again: ") and name in said[0]


def checkpoint(folder: Path, step: int, best: int) -> Path:
    path = folder / f"checkpoint-{step}"
    path.mkdir(parents=True)
    (path / "trainer_state.json").write_text(json.dumps({"best_model_checkpoint": f"{folder}/checkpoint-{best}"}))
    (path / "optimizer.pt").write_bytes(b"numbers")
    write_sealed(
        path / "checksums.json", {name: sha256(path / name) for name in ("trainer_state.json", "optimizer.pt")}
    )
    return path


def test_a_damaged_checkpoint_is_left_and_said(tmp_path: Path) -> None:
    said: list[str] = []
    one, two = checkpoint(tmp_path, 1, best=1), checkpoint(tmp_path, 2, best=1)
    assert last_checkpoint(tmp_path, said.append) == two and not said
    (two / "optimizer.pt").write_bytes(b"numbexs")
    assert last_checkpoint(tmp_path, said.append) == one
    assert "optimizer.pt is damaged. The training goes on from an earlier one" in said[0] and not two.exists()
    three = checkpoint(tmp_path, 3, best=1)
    (one / "optimizer.pt").write_bytes(b"numbexs")  # the best epoch's weights would be these
    assert last_checkpoint(tmp_path, said.append) is None and not three.exists()


def test_half_a_line_is_not_lengthened(tmp_path: Path) -> None:
    path = tmp_path / "new" / "log.jsonl"
    append_line(path, "one")
    path.write_text(path.read_text() + "tw")
    append_line(path, "three")
    assert path.read_text() == "one\ntw\nthree\n"


def test_what_safetensors_and_torch_cannot_write_is_told(tmp_path: Path) -> None:
    from safetensors import SafetensorError

    for error in (SafetensorError("I/O error: No space left"), RuntimeError("PytorchStreamWriter failed writing file")):
        assert "can't be written" in str(not_written(error, tmp_path)) and "Check the disk" in str(
            not_written(error, tmp_path)
        )
    assert not_written(RuntimeError("shapes"), tmp_path) is None
