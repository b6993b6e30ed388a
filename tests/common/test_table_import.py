"""The published tables: what is read from workbooks and comma-separated files, and what is refused with which words."""

from __future__ import annotations

import json
import re
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from common.datasets.tables import survey
from common.datasets.tables.features import TableFeatures
from common.datasets.tables.spec import WIDTHS
from common.errors import CacheError, DataError
from tests.common.table_files import WRITERS, audio, faults, row, surveyed, visual, write_csv, write_xlsx

FORMATS = pytest.mark.parametrize("suffix", sorted(WRITERS))


@FORMATS
def test_features_labels_and_words_come_through(suffix: str, tmp_path: Path) -> None:
    path = WRITERS[suffix](tmp_path / f"table{suffix}", [row(number) for number in range(300)])
    found = surveyed(path, tmp_path / "cache")
    assert found.findings == () and found.kind == "table" and found.root == path
    assert found.classes == ("anger", "joy", "neutral", "sadness")
    assert found.brings == {"visual": "given", "audio": "given"}
    assert found.parts == {"visual": {"A2": 512}, "audio": {"V1": 512, "V3": 25, "V4": 25}}
    assert list(found.parts["audio"]) == ["V1", "V3", "V4"]
    assert len(found.clips) == 300 and {len(clip.utterances) for clip in found.clips} == {1}
    clip = found.clips[0]
    assert (clip.id, clip.source, clip.group) == ("row_2", path, "")
    (utterance,) = clip.utterances
    assert (utterance.text, utterance.emotion, utterance.row, utterance.video) == ("Utterance 0.", 1, 0, None)
    assert found.table is not None and found.table.parent == tmp_path / "cache" / "tables"
    table = TableFeatures(found.table)
    assert (table.width("audio"), table.width("visual"), table.width("text")) == (562, 512, 0)
    wanted = [299, 3, 4, 5, 255, 256, 4]
    values, mask = table.rows(wanted, "audio")
    assert values.dtype == np.float32 and mask.dtype == np.bool_ and mask.all()
    np.testing.assert_array_equal(values, np.array([audio(number) for number in wanted], dtype=np.float32))
    values, _ = table.rows(wanted, "visual")
    np.testing.assert_array_equal(values, np.array([visual(number) for number in wanted], dtype=np.float32))


def test_a_workbook_and_a_csv_of_the_same_rows_are_the_same_data_set(tmp_path: Path) -> None:
    rows = [row(number, Dialogue_ID=number // 5, Utterance_ID=number % 5) for number in range(40)]
    one, two = (
        surveyed(WRITERS[suffix](tmp_path / f"t{suffix}", rows), tmp_path / "cache")
        for suffix in (".csv", ".excel.xlsx")
    )
    assert one.table is not None and two.table is not None and one.table != two.table
    for left, right in zip(one.clips, two.clips, strict=True):
        assert (left.id, left.split, left.utterances) == (right.id, right.split, right.utterances)
        numbers = [utterance.row or 0 for utterance in left.utterances]
        assert TableFeatures(one.table).identity(numbers) == TableFeatures(two.table).identity(numbers)


def test_an_imported_table_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_csv(tmp_path / "table.csv", [row(number, Speaker="Ross", Session=number % 4) for number in range(8)])
    said: list[str] = []
    first = survey(path, tmp_path / "cache", said.append)
    assert len(said) == 1 and re.search(r"Reading .*table\.csv; it is kept as .*\.h5\.", said[0])

    def refuse(*_: Any) -> None:
        raise AssertionError("read again")

    monkeypatch.setattr("common.datasets.tables.import_table", refuse)
    assert survey(path, tmp_path / "cache", said.append) == first and len(said) == 1
    write_csv(path, [row(number) for number in range(9)])
    with pytest.raises(AssertionError, match="read again"):
        survey(path, tmp_path / "cache", said.append)


def test_a_flipped_bit_in_an_imported_table_is_named(tmp_path: Path) -> None:
    found = surveyed(write_csv(tmp_path / "t.csv", [row(number) for number in range(3)]), tmp_path / "cache")
    assert found.table is not None
    with h5py.File(found.table, "r+") as file:
        name = next(iter(file["features"]))
        file["features"][name][1, 0] += 1
    table = TableFeatures(found.table)
    table.rows([0, 2], name)
    with pytest.raises(CacheError, match="the features of row 1 don't match their checksum"):
        table.rows([2, 1], name)


@FORMATS
def test_empty_cells_are_absent(suffix: str, tmp_path: Path) -> None:
    silent = {"V1": "", "V3": None, "V4": " "}
    rows = [row(0), row(1, **silent), row(2, A2=""), row(3, Utterance="", Emotion=""), row(4, A2="", **silent)]
    found = surveyed(WRITERS[suffix](tmp_path / f"t{suffix}", rows), tmp_path / "cache")
    assert found.findings == () and found.table is not None
    table = TableFeatures(found.table)
    values, mask = table.rows(range(5), "audio")
    assert mask.tolist() == [True, False, True, True, False]
    assert np.isnan(values[~mask]).all() and not np.isnan(values[mask]).any()
    assert table.rows(range(5), "visual")[1].tolist() == [True, True, False, True, False]
    (unlabelled,) = (clip for clip in found.clips if clip.id == "row_5")
    assert (unlabelled.utterances[0].emotion, unlabelled.utterances[0].text) == (None, "")
    assert found.remarks[:2] == (
        f"1 of 5 rows of t{suffix} have no label: they are context, and aren't scored.",
        f"1 of 5 rows of t{suffix} have no words: text is masked there.",
    )


def test_a_modality_that_no_row_has_keeps_its_width(tmp_path: Path) -> None:
    found = surveyed(write_csv(tmp_path / "t.csv", [row(number, A2="") for number in range(3)]), tmp_path / "cache")
    assert found.findings == () and found.table is not None
    values, mask = TableFeatures(found.table).rows([2, 0], "visual")
    assert values.shape == (2, 512) and np.isnan(values).all() and not mask.any()


def test_v2_comes_last_in_audio_with_the_width_it_has(tmp_path: Path) -> None:
    rows = [row(number, V2=json.dumps([number, 0.5, 7])) for number in range(3)]
    found = surveyed(write_csv(tmp_path / "t.csv", rows), tmp_path / "cache")
    assert found.parts["audio"] == {"V1": 512, "V3": 25, "V4": 25, "V2": 3} and found.table is not None
    assert list(found.parts["audio"]) == ["V1", "V3", "V4", "V2"]
    assert TableFeatures(found.table).rows([1], "audio")[0][0, 562:].tolist() == [1, 0.5, 7]
    write_csv(tmp_path / "t.csv", [*rows, row(3, V2="[1, 2]"), row(4, V2="")])
    first, second = faults(tmp_path / "t.csv", tmp_path / "cache")
    assert "row 5, column V2 has 2 number(s), not 3, as row 2 has: '[1, 2]'." in first
    assert "row 6, column V2 is empty, but V1 isn't: together they are audio." in second


@FORMATS
def test_all_faults_are_said_at_once_with_row_column_and_value(suffix: str, tmp_path: Path) -> None:
    rows = [
        row(0),
        row(1, V1=json.dumps([0.0] * 511)),
        row(2, V3="[1, 2, banana]"),
        row(3, Emotion="boredom"),
        row(4, V4=""),
        row(5, A2="__import__('os').system('x')"),
        row(6, A2="[1]*10**9"),
        row(7, V1=json.dumps([0.0] * 511 + [float("nan")])),
    ]
    path = WRITERS[suffix](tmp_path / f"t{suffix}", rows)
    expected = [
        r"t[.\w]+, row 3, column V1 has 511 number\(s\), not 512: '\[0\.0, 0\.0.*\(\d+ characters\)\. Each cell",
        r"t[.\w]+, row 4, column V3 is '\[1, 2, banana\]', where 'banana' isn't a number\. A cell is a list",
        r"t[.\w]+, row 5, column Emotion is 'boredom', which is none of the emotions\. Known: anger, disgust,",
        r"t[.\w]+, row 6, column V4 is empty, but V1 isn't: together they are audio\. Fill all",
        r"row 7, column A2 is \"__import__\('os'\)\.system\('x'\)\", which is no list of numbers",
        r"row 8, column A2 is '\[1\]\*10\*\*9', which is no list of numbers",
        r"row 9, column V1 has nan in place 512 of 512, and 1 such in all",
    ]
    found = faults(path, tmp_path / "cache")
    assert len(found) == len(expected)
    for text, pattern in zip(found, expected, strict=True):
        assert re.search(pattern, text), text
    assert not list((tmp_path / "cache").rglob("*.h5")), "nothing is kept of a table with faults"
    with pytest.raises(DataError, match=r"banana.*boredom|boredom.*banana"):
        surveyed(path, tmp_path / "cache").accepted()
    assert len(faults(path, tmp_path / "cache")) == len(expected), "and they are said again"


@FORMATS
def test_a_wrong_header_is_refused(suffix: str, tmp_path: Path) -> None:
    rows = [{name: cell for name, cell in row(0).items() if name not in ("V3", "A2")}]
    path = WRITERS[suffix](tmp_path / f"t{suffix}", rows)
    for data in (path, tmp_path):
        (text,) = faults(data, tmp_path / "cache")
        assert "has no column V3, A2; it has Utterance, V1, V4, Emotion. A published table has Utterance, V1" in text


def test_columns_may_be_spelled_otherwise_and_labels_too(tmp_path: Path) -> None:
    cells = row(0, Set="dev", dialog="a", order="1", SPEAKER=" Ross ", session="Ses01") | {"Emotion": " Joy "}
    upper = {name.upper() + " " if name.startswith("V") else name.lower(): cell for name, cell in cells.items()}
    other = dict(zip(upper, [*row(1).values(), "training", "b", "0", "", "Ses01"], strict=True)) | {"emotion": "JOY"}
    found = surveyed(write_csv(tmp_path / "t.csv", [upper, other]), tmp_path / "cache")
    assert found.findings == () and found.classes == ("joy",)
    one, two = found.clips
    assert (one.id, one.split, one.group, two.split) == ("a", "validation", "Ses01", "train")
    assert one.utterances[0].speaker == "Ross" and one.utterances[0].emotion == two.utterances[0].emotion == 0


def test_a_file_name_may_hold_anything(tmp_path: Path) -> None:
    for name in ('Gefühle "1" it\'s.xlsx', 'Gefühle "1" it\'s.csv'):
        path = WRITERS[Path(name).suffix](tmp_path / name, [row(number) for number in range(3)])
        assert len(surveyed(path, tmp_path / "cache").clips) == 3
        path.unlink()


def test_folders(tmp_path: Path) -> None:
    folder, cache = tmp_path / "folder", tmp_path / "cache"
    folder.mkdir()
    assert survey(folder, cache, print) is None
    (folder / "talk.mp4").write_bytes(b"")
    assert survey(folder / "talk.mp4", cache, print) is None
    (folder / "labels.csv").write_text("id,split,V,A,D,text\n")
    assert survey(folder, cache, print) is None
    (folder / "empty.xlsx").write_bytes(b"")
    (folder / "~$MELD.xlsx").write_bytes(b"lock")
    assert survey(folder, cache, print) is None
    write_xlsx(folder / "MELD.xlsx", [row(0), row(1)])
    assert [clip.source for clip in surveyed(folder, cache).clips] == [folder / "MELD.xlsx"] * 2
    write_csv(folder / "IEMOCAP.csv", [row(0), row(1)])
    assert "holds several tables: IEMOCAP.csv and MELD.xlsx. Point DATA=" in faults(folder, cache)[0]


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "t.csv", [row(0)])
    first, *rest = path.read_text().splitlines()
    path.write_text("\n".join([first + ",V1", *(line + ",x" for line in rest)]) + "\n")
    assert "has two columns V1. Rename one of them." in faults(path, tmp_path / "cache")[0]


def test_no_label_at_all_is_for_prediction(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "t.csv", [row(number, Emotion="") for number in range(3)])
    found = surveyed(path, tmp_path / "cache")
    assert not found.findings and found.classes == () and "it can be predicted" in " ".join(found.remarks)


def damage(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize("hurt", [damage, lambda path: path.write_bytes(b"no HDF5")])
def test_a_broken_import_names_itself(hurt: Callable[[Path], object], tmp_path: Path) -> None:
    path = write_csv(tmp_path / "t.csv", [row(number) for number in range(3)])
    found = surveyed(path, tmp_path / "cache")
    assert found.table is not None
    hurt(found.table)
    for use in (
        lambda: surveyed(path, tmp_path / "cache"),
        lambda: TableFeatures(found.table).rows([0], "audio"),  # type: ignore[arg-type]
        lambda: TableFeatures(found.table).identity([0]),  # type: ignore[arg-type]
    ):
        with pytest.raises(CacheError, match=r"can't be read as HDF5 .*Delete it and run `make embeddings` again"):
            use()


def test_identity_is_of_the_features_alone(tmp_path: Path) -> None:
    rows = [row(0), row(1), row(0, Utterance="Other words.", Emotion="anger"), row(0, A2="")]
    found = surveyed(write_csv(tmp_path / "t.csv", [*rows, row(9)]), tmp_path / "cache")
    assert found.table is not None
    table = TableFeatures(found.table)
    assert table.identity([0]) == table.identity([2]) != table.identity([1])
    assert table.identity([0]) != table.identity([3]) and table.identity([0, 1]) != table.identity([1, 0])
    assert re.fullmatch(r"[0-9a-f]{64}", table.identity([0])) and table.identity([]) == ""
    with pytest.raises(CacheError, match="has 5 rows, and row 5 is asked for"):
        table.rows([0, 5], "audio")
    with h5py.File(found.table) as file:
        assert file["features/audio"].dtype == np.float32 and file["digest"].shape == (5, 32)


def peak_bytes(path: Path, cache: Path) -> int:
    """Most that Python and NumPy held at a time while the table was imported."""
    tracemalloc.start()
    found = surveyed(path, cache)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.findings == ()
    return peak


@pytest.mark.parametrize("suffix", [".csv", ".excel.xlsx"])
def test_features_are_not_held(suffix: str, tmp_path: Path) -> None:
    lengths = (500, 1500)  # what waits for the garbage collector is of neither length
    cells = {name: json.dumps([0.25] * width) for name, width in WIDTHS.items()}
    peaks = []
    for length in lengths:
        # Every text is there but once in a workbook's list, so they differ.
        rows = [
            cells | {"Utterance": f"{n}", "V1": f"[{n}, {cells['V1'][7:]}", "Emotion": "joy"} for n in range(length)
        ]
        peaks.append(peak_bytes(WRITERS[suffix](tmp_path / f"{length}{suffix}", rows), tmp_path / "cache"))
    features = (lengths[1] - lengths[0]) * sum(WIDTHS.values()) * 4
    assert peaks[1] - peaks[0] < features / 2, peaks
