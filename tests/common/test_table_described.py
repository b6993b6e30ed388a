"""Tables that a table.yaml describes: which columns are what, arrays in .npz and HDF5, and every fault of both."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import yaml

from common.datasets.tables import survey
from common.datasets.tables.features import TableFeatures
from tests.common.table_files import faults, row, surveyed, write_csv, write_xlsx

ROWS = 600
BASE = {"visual": ["face"], "audio": ["loud", "pitch"], "label": "emotion", "utterance": "said"}


def describe(folder: Path, file: str, **settings: Any) -> Path:
    path = folder / "table.yaml"
    path.write_text(yaml.safe_dump({"file": file, **settings}), encoding="utf-8")
    return path


def columns(rows: int = ROWS) -> dict[str, np.ndarray]:
    random = np.random.default_rng(1)
    face = random.normal(size=(rows, 7))
    face[::3] = np.nan
    return {
        "face": face,
        "loud": random.normal(size=rows).astype(np.float16),
        "pitch": random.integers(0, 500, size=(rows, 2)),
        "emotion": np.array(["joy", " Joy", "anger", ""] * (rows // 4)),
        "said": np.array([f"Wörter {number}" for number in range(rows)]),
        "part": np.array(["train", "train", "dev", "test"] * (rows // 4)),
    }


def save(path: Path, arrays: dict[str, Any]) -> Path:
    if path.suffix == ".npz":
        np.savez_compressed(path, **arrays)
    else:
        with h5py.File(path, "w") as file:
            for name, values in arrays.items():
                text = np.asarray(values).dtype.kind in "UO"
                dtype = h5py.string_dtype() if text else None
                file.create_dataset(name, data=values.astype(object) if text else values, dtype=dtype)
    return path


ARRAYS = pytest.mark.parametrize("file", ["features.npz", "features.h5"])


@ARRAYS
def test_arrays_come_through(file: str, tmp_path: Path) -> None:
    arrays = columns()
    arrays["face"] = np.asfortranarray(arrays["face"])
    save(tmp_path / file, arrays)
    data = describe(tmp_path, file, **BASE, split="part")
    cache = tmp_path / "cache"
    found = surveyed(tmp_path, cache)
    assert found.findings == () and found.clips == surveyed(data, cache).clips
    assert found.classes == ("anger", "joy")
    assert found.brings == {"visual": "given", "audio": "given"}
    assert found.parts == {"visual": {"face": 7}, "audio": {"loud": 1, "pitch": 2}}
    assert [clip.split for clip in found.clips[:4]] == ["train", "train", "validation", "test"]
    assert [clip.utterances[0].emotion for clip in found.clips[:4]] == [1, 1, 0, None]
    assert [clip.utterances[0].text for clip in found.clips[:2]] == ["Wörter 0", "Wörter 1"]
    assert found.clips[0].id == "row_0" and found.table is not None
    values, mask = TableFeatures(found.table).rows(range(ROWS), "visual")
    np.testing.assert_array_equal(values, arrays["face"].astype(np.float32))
    np.testing.assert_array_equal(mask, np.arange(ROWS) % 3 != 0)
    values, mask = TableFeatures(found.table).rows([599, 0], "audio")
    np.testing.assert_array_equal(values[0], [np.float32(arrays["loud"][599]), *arrays["pitch"][599]])
    assert mask.all() and len(list((cache / "tables").glob("[!.]*"))) == 1


@ARRAYS
def test_labels_may_be_numbers_of_the_classes(file: str, tmp_path: Path) -> None:
    arrays = columns(8) | {"emotion": np.array([0, 1, 2, -1, 0, 1, 2, 2], dtype=np.int8)}
    save(tmp_path / file, arrays)
    describe(tmp_path, file, **BASE, classes=["neutral", "Joy", "anger"])
    found = surveyed(tmp_path, tmp_path / "cache")
    assert found.classes == ("neutral", "Joy", "anger")
    assert [clip.utterances[0].emotion for clip in found.clips] == [0, 1, 2, None, 0, 1, 2, 2]
    save(tmp_path / file, arrays | {"emotion": np.array([0, 1, 3, -2, 0, 1, 2, 2])})
    first, second = faults(tmp_path, tmp_path / "cache")
    assert "row 2 (from 0), column emotion is '3', which is none of the classes. They are neutral, Joy, anger." in first
    assert "row 3 (from 0), column emotion is '-2', which is none" in second
    save(tmp_path / file, arrays | {"emotion": np.array([10, 1, 2, -1, 0, 1, 2, 9])})
    describe(tmp_path, file, **BASE)
    found = surveyed(tmp_path, tmp_path / "cache")
    assert found.classes == ("0", "1", "2", "9", "10") and found.clips[3].utterances[0].emotion is None


def test_named_classes_keep_their_order_and_spelling(tmp_path: Path) -> None:
    labels = ["neutral", " JOY", "big  fear", "", "0"]
    write_csv(tmp_path / "t.csv", [{"t": f"Words {n}", "e": label} for n, label in enumerate(labels)])
    describe(tmp_path, "t.csv", utterance="t", label="e", classes=["neutral", "Joy", "Big fear"])
    (text,) = faults(tmp_path, tmp_path / "cache")
    assert "row 6, column e is '0', which is none of the classes. They are neutral, Joy, Big fear." in text
    write_csv(tmp_path / "t.csv", [{"t": f"Words {n}", "e": label} for n, label in enumerate(labels[:4])])
    found = surveyed(tmp_path, tmp_path / "cache")
    assert found.classes == ("neutral", "Joy", "Big fear")
    assert [clip.utterances[0].emotion for clip in found.clips] == [0, 1, 2, None]


@ARRAYS
def test_a_row_with_some_nan_is_a_fault(file: str, tmp_path: Path) -> None:
    arrays = columns(12)
    arrays["face"][[4, 7], 3] = np.nan
    arrays["pitch"] = arrays["pitch"].astype(float)
    arrays["pitch"][5] = np.nan
    arrays["loud"][8] = np.inf
    save(tmp_path / file, arrays)
    describe(tmp_path, file, **BASE)
    found = faults(tmp_path, tmp_path / "cache")
    assert len(found) == 4
    assert "row 4 (from 0), column face has nan in place 4 of 7, and 1 such in all." in found[0]
    assert "row 5 (from 0), column pitch is empty, but loud isn't: together they are audio." in found[1]
    assert "row 7 (from 0), column face has nan" in found[2]
    assert "row 8 (from 0), column loud has inf in place 1 of 1" in found[3]


@ARRAYS
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"loud": np.zeros(3)}, r"the columns are face \(12, 7\), loud \(3,\), .* Each column has the same number"),
        ({"face": np.zeros((12, 2, 2))}, r"face \(12, 2, 2\).* is \(N,\) or \(N, D\)"),
        ({"face": np.array(1.0)}, r"face \(\)"),
        ({"face": np.full(12, "[1, x]")}, r"row 0 \(from 0\), column face is '\[1, x\]', where 'x' isn't a number"),
        ({"face": np.ones((12, 2), dtype=complex)}, r"row 0 \(from 0\), column face is .* no list of numbers"),
        ({"face": np.full((12, 7), np.nan)}, r"the column face is empty in every row\. Leave it out"),
        ({name: values[:0] for name, values in columns(12).items()}, r"holds no row"),
    ],
)
def test_arrays_that_are_no_table(file: str, change: dict[str, Any], message: str, tmp_path: Path) -> None:
    save(tmp_path / file, columns(12) | change)
    describe(tmp_path, file, **BASE)
    assert re.search(message, faults(tmp_path, tmp_path / "cache")[0])


@ARRAYS
def test_what_is_no_such_file_is_refused(file: str, tmp_path: Path) -> None:
    (tmp_path / file).write_bytes(b"something else")
    describe(tmp_path, file, **BASE)
    assert re.search(r"features\.\w+ can't be read as (\.npz|HDF5) \(", faults(tmp_path, tmp_path / "cache")[0])
    assert "doesn't say what its columns are. Describe it in a table.yaml" in faults(tmp_path / file, tmp_path)[0]


def test_pickles_are_not_loaded(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "sprung",))

    np.savez(tmp_path / "features.npz", **columns(4) | {"face": np.array([Trap()] * 4, dtype=object)})
    describe(tmp_path, "features.npz", **BASE)
    (text,) = faults(tmp_path, tmp_path / "cache")
    assert "the column face holds Python objects. Save it with .astype(float)" in text
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("way", ["external link", "soft link", "external storage", "virtual"])
def test_numbers_that_lie_in_other_files_are_refused(way: str, tmp_path: Path) -> None:
    arrays = columns(4)
    save(tmp_path / "other.h5", arrays)
    with h5py.File(save(tmp_path / "features.h5", arrays), "a") as file:
        del file["face"]
        if way == "external link":
            file["face"] = h5py.ExternalLink("other.h5", "face")
        elif way == "soft link":
            file["away"] = h5py.ExternalLink("other.h5", "/")
            file["face"] = h5py.SoftLink("/away/face")
        elif way == "external storage":
            file.create_dataset("face", (4, 7), "f8", external=[(str(tmp_path / "raw"), 0, 1000)])
        else:
            layout = h5py.VirtualLayout((4, 7), "f8")
            layout[:] = h5py.VirtualSource(tmp_path / "other.h5", "face", (4, 7))
            file.create_virtual_dataset("face", layout)
    describe(tmp_path, "features.h5", **BASE)
    assert re.search(r"face is a link to elsewhere|numbers of face lie in other", faults(tmp_path, tmp_path / "c")[0])


def test_datasets_in_groups(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "features.h5", "w") as file:
        file["away"] = h5py.ExternalLink("nowhere.h5", "/")
        file["train/face"], file["train/emotion"] = np.ones((4, 2)), ["joy", "anger"] * 2
    describe(tmp_path, "features.h5", visual="train/face", label="train/emotion")
    assert surveyed(tmp_path, tmp_path / "cache").parts == {"visual": {"train/face": 2}}
    describe(tmp_path, "features.h5", visual="train", label="train/emotion/no")
    text = faults(tmp_path, tmp_path / "cache")[0]
    assert re.search(
        r"has no column train/emotion/no; it has train|the columns are train \(\)|has no column train,", text
    )


def test_a_table_of_text_alone_and_one_of_text_features(tmp_path: Path) -> None:
    write_csv(tmp_path / "t.csv", [{"Text": f"Words {n}", "bert": f"[{n}, 1]", "Emotion": "joy"} for n in range(6)])
    describe(tmp_path, "t.csv", utterance="Text", label="Emotion")
    found = surveyed(tmp_path, tmp_path / "cache")
    assert found.brings == {"visual": "none", "audio": "none"} and found.parts == {} and found.table is not None
    assert TableFeatures(found.table).identity([0]) == TableFeatures(found.table).identity([1])
    describe(tmp_path, "t.csv", text=["bert"], label="Emotion")
    found = surveyed(tmp_path, tmp_path / "cache")
    assert found.brings == {"visual": "none", "audio": "none", "text": "given"}
    assert found.parts == {"text": {"bert": 2}} and found.clips[0].utterances[0].text == ""
    describe(tmp_path, "t.csv", text="bert", utterance="Text", label="Emotion")
    found = surveyed(tmp_path, tmp_path / "cache")
    assert found.brings["text"] == "given" and found.clips[0].utterances[0].text == "Words 0"


def test_published_columns_under_other_names(tmp_path: Path) -> None:
    rows = [{f"my {name}": cell for name, cell in row(number).items()} for number in range(3)]
    (tmp_path / "sub").mkdir()
    write_xlsx(tmp_path / "sub" / "t.xlsx", rows)
    settings = {"audio": ["my V3", "my V1"], "label": "my Emotion", "utterance": "my Utterance"}
    describe(tmp_path, "sub/t.xlsx", **settings)
    assert surveyed(tmp_path, tmp_path / "cache").parts == {"audio": {"my V3": 25, "my V1": 512}}
    describe(tmp_path, "sub/t.xlsx", **settings | {"label": "Emotion", "audio": ["my V1", "V9"]})
    (text,) = faults(tmp_path, tmp_path / "cache")
    assert "has no column V9, Emotion; it has my Utterance, my V1, my V3, my V4, my A2, my Emotion." in text


def test_all_faults_of_a_description_are_said_at_once(tmp_path: Path) -> None:
    path = tmp_path / "table.yaml"
    path.write_text("fil: x\nclasses: [Joy, ' joy']\naudio: 3\nsplit: [a]\n", encoding="utf-8")
    found = faults(tmp_path, tmp_path / "cache")
    for key in ("fil: isn't a key of it", "file: is required", "audio: ", "split: "):
        assert any(f"table.yaml, {key}" in text for text in found), (key, found)
    assert any("classes: 'joy' can't be told apart from another class" in text for text in found)
    assert all("Known: file, visual, audio, text, utterance, label" in text for text in found)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"label": "e"}, r"table\.yaml, as a whole: none of visual, audio, text, utterance names a column"),
        ({"label": "e", "audio": ["a"], "text": ["a"]}, r"a is named twice among visual, audio and text"),
        ({"label": "a", "audio": ["a"]}, r"a is the label, and among the features"),
        ({"label": "e", "audio": ["a"], "classes": ["", "b"]}, r"classes: an empty name can't be told apart"),
    ],
)
def test_descriptions_that_make_no_sense(settings: dict[str, Any], message: str, tmp_path: Path) -> None:
    describe(tmp_path, "t.csv", **settings)
    assert re.search(message, faults(tmp_path, tmp_path / "cache")[0])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"file: [", r"isn't valid YAML: "),
        (b"file: caf\xe9", r"isn't valid YAML: "),
        (b"just words", r"holds str, not settings"),
        (b"!!python/object/apply:os.system ['true']", r"isn't valid YAML: could not determine a constructor"),
        (
            b"file: no.csv\nlabel: e\naudio: a",
            r"names the table 'no\.csv'; there is no .*no\.csv\. Its path is relative",
        ),
        (b"file: table.yaml\nlabel: e\naudio: a", r"names the table 'table\.yaml'\. It is one of \.csv, \.h5, "),
    ],
)
def test_descriptions_that_cant_be_read(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "table.yaml").write_bytes(content)
    assert re.search(message, faults(tmp_path, tmp_path / "cache")[0])


def test_another_description_is_another_import(tmp_path: Path) -> None:
    write_csv(tmp_path / "t.csv", [{"a": "[1, 2]", "b": "3", "e": "joy"}, {"a": "[4, 5]", "b": "6", "e": "fear"}])
    widths = []
    for audio in (["a", "b"], ["b", "a"], ["b"]):
        describe(tmp_path, "t.csv", audio=audio, label="e")
        found = surveyed(tmp_path, tmp_path / "cache")
        assert found.table is not None
        widths.append(TableFeatures(found.table).rows([0], "audio")[0][0].tolist())
    assert widths == [[1, 2, 3], [3, 1, 2], [3]]
    assert survey(tmp_path / "elsewhere.txt", tmp_path / "cache", print) is None
