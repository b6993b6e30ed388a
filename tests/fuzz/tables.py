"""Tables of utterances: CSV, workbooks, arrays, and the table.yaml that describes them."""

from __future__ import annotations

import functools
import io
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import openpyxl
from hypothesis import strategies as st

from common.datasets.survey import Survey
from common.datasets.tables import survey
from common.datasets.tables.features import TableFeatures
from common.datasets.tables.spec import WIDTHS
from tests.common.table_files import as_excel
from tests.fuzz.changes import changed_archive, changed_bytes, changed_file, changed_text, zipped
from tests.fuzz.labels import utterances_hold
from tests.fuzz.recipes import YAML
from tests.fuzz.target import Target, accepted, written

SPEC = """file: {file}
visual: face
audio: [loud, pitch]
utterance: said
label: emotion
dialogue: talk
order: place
split: part
speaker: who
classes: [joy, anger, neutral]
"""
HEADER = ("face", "loud", "pitch", "said", "emotion", "talk", "place", "part", "who")
ROWS = (
    ("[0.5, -1e-3]", "0.25", "[1 2 3]", "Hello, you", "joy", "d1", "0", "train", "A"),
    ("", "0.5", "[1, 2, 3]", 'He said "no"', "Anger", "d1", "1", "train", "B"),
    ("[1, 2]", "", "", "three", "", "d2", "0", "dev", ""),
    ("[3, 4.5]", "7", "[4, 5, 6]", "", "neutral", "d3", "2.0", "test", "A"),
)
CSV = "\n".join(",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in (HEADER, *ROWS)) + "\n"
CELLS = (
    '"[0.5]"', "[1, nan]", "[1e39, 0]", "[[1], [2]]", "[]", "[1, 2", "0.5]", "(1, 2)", "[1;2]", "[" * 2000, "face",
    "said",
    "d1", "d2", "../d1", ".hidden", "d" * 300, "joy", "0", "-1", "3", "train", "Test", "12.0",
)  # fmt: skip
PUBLISHED = ("Utterance", *WIDTHS, "Emotion", "Dialogue_ID")
PUBLISHED_CSV = "\n".join(
    [";".join(PUBLISHED), *(";".join(["Hi", *(str([0.5] * width) for width in WIDTHS.values()), "joy", "1"]),) * 2]
)
XML = (
    "<v>1</v>", '<c r="B2" t="s"><v>99</v></c>', '<c r="A1048577"/>', ' r="ZZZZ1"', ' r="99999999999999999999"',
    ' t="e"', ' t="d"',
    ' t="b"', ' t="str"', ' t="n"', "<f>1+1</f>", "_xD800_", "_x0000_", "&#0;", "&#xD800;", "&bomb;", "&lt;",
    "<!-- -->", "<![CDATA[",
    '<!DOCTYPE x [<!ENTITY bomb "bomb">]>', '<?xml version="1.0" encoding="utf-7"?>',
    '<?xml version="1.0" encoding="none"?>',
    '<mergeCells><mergeCell ref="A1:B3"/></mergeCells>', ' s="1"', ' s="999"', "1e400", "-1", "</row>", "<row>",
    ' xml:space="preserve"',
)  # fmt: skip


def _survey(folder: Path) -> tuple[Survey, TableFeatures]:
    cache = folder / "cache"
    shutil.rmtree(cache, ignore_errors=True)
    found = accepted(survey(folder, cache, lambda _: None), "table")
    assert found.table is not None
    return found, TableFeatures(found.table)


def _described(file: str) -> Callable[[bytes, Path], Any]:
    write = written(file)

    def read(content: bytes, folder: Path) -> Any:
        write(content, folder)
        (folder / "table.yaml").write_text(SPEC.format(file=file), encoding="utf-8")
        return _survey(folder)

    return read


def _spec(content: bytes, folder: Path) -> Any:
    written("table.csv")(CSV.encode(), folder)
    written("table.yaml")(content, folder)
    return _survey(folder)


def _published(content: bytes, folder: Path) -> Any:
    path = written("table.csv")(content, folder)
    shutil.rmtree(folder / "cache", ignore_errors=True)
    found = accepted(survey(path, folder / "cache", lambda _: None), path.name)
    assert found.table is not None
    return found, TableFeatures(found.table)


def holds(found: tuple[Survey, TableFeatures]) -> None:
    """Rows, digests and features are equally many; features are finite where they are there, and NaN elsewhere."""
    data, features = found
    utterances_hold(data, categorical=True)
    records, digests = features.records()
    assert len(records) == len(digests) == sum(len(clip.utterances) for clip in data.clips)
    assert sorted(one.row for clip in data.clips for one in clip.utterances) == list(range(len(records)))
    for modality, parts in features.parts().items():
        values, mask = features.rows(range(len(records)), modality)
        assert values.shape == (len(records), sum(parts.values()))
        assert np.isfinite(values[mask]).all() and np.isnan(values[~mask]).all()


@functools.cache
def workbook() -> dict[str, bytes]:
    """The parts of a workbook with these rows."""
    book = openpyxl.Workbook()
    for row in (HEADER, *ROWS):
        book.active.append([float(cell) if cell.isdecimal() else cell or None for cell in row])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "workbook.xlsx")
        book.save(path)
        with zipfile.ZipFile(as_excel(path)) as archive:
            return {name: archive.read(name) for name in archive.namelist()}


def _workbooks() -> st.SearchStrategy[bytes]:
    parts = workbook()
    named = ("xl/worksheets/sheet1.xml", "xl/sharedStrings.xml", "xl/workbook.xml", "xl/styles.xml")
    return changed_archive(
        parts, {name: functools.partial(changed_file, parts[name].decode(), odd=(*XML, *CELLS)) for name in named}
    )


def _columns() -> dict[str, np.ndarray]:
    """The rows above as arrays."""
    face = np.array([[0.5, -1e-3], [np.nan, np.nan], [1, 2], [3, 4.5]])
    texts = {name: np.array([row[HEADER.index(name)] for row in ROWS]) for name in ("said", "talk", "part", "who")}
    pitch = np.array([[1.0, 2, 3], [1, 2, 3], [np.nan] * 3, [4, 5, 6]], dtype=np.float32)
    loud = np.array([0.25, 0.5, np.nan, 7])
    return {
        "face": face,
        "pitch": pitch,
        "loud": loud,
        "emotion": np.array([0, 1, -1, 2]),
        "place": np.arange(4.0),
        **texts,
    }


def _npy(values: np.ndarray) -> bytes:
    content = io.BytesIO()
    np.save(content, values)
    return content.getvalue()


def _npz() -> st.SearchStrategy[bytes]:
    parts = {f"{name}.npy": _npy(values) for name, values in _columns().items()}
    odd = (
        "|O",
        "<M8[s]",
        "<c16",
        "|S3",
        "<U0",
        "<f2",
        ">f8",
        "(4, 2)",
        "(99999999999, 2)",
        "(-1,)",
        "()",
        "(4, 0)",
        "True",
        "V8",
    )
    odd = (*odd, "[('a', '<f8')]", "(((" * 500, "lambda: 1", "'shape'", "{1: 2}", "[[]]")

    def head(name: str) -> st.SearchStrategy[bytes]:
        """Another header of an array, whose length is right."""
        size = int.from_bytes(parts[name][8:10], "little")
        text, rest = parts[name][10 : 10 + size].decode("latin-1"), parts[name][10 + size :]
        return changed_text(text.strip(), odd=odd).map(
            lambda new: parts[name][:8] + len(new.encode()[:65535]).to_bytes(2, "little") + new.encode()[:65535] + rest
        )

    swaps = st.sampled_from(list(ODD_ARRAYS)).map(lambda odd: _npy(ODD_ARRAYS[odd]))
    changed = {name: functools.partial(head, name) for name in ("face.npy", "loud.npy", "said.npy")}
    bytes_ = {name: functools.partial(changed_bytes, st.just(parts[name])) for name in ("face.npy", "emotion.npy")}
    other = st.tuples(st.sampled_from(list(parts)), swaps).map(lambda one: zipped({**parts, one[0]: one[1]}))
    return changed_archive(parts, changed) | changed_archive(parts, bytes_) | other


#: In place of a column.
ODD_ARRAYS: dict[str, np.ndarray] = {
    "number": np.array(1.0),
    "empty": np.empty((0,)),
    "no width": np.empty((4, 0)),
    "three axes": np.zeros((4, 2, 2)),
    "short": np.zeros(3),
    "complex": np.zeros(4, dtype=complex),
    "bool": np.array([True, False, True, True]),
    "bytes": np.array([b"a", b"\xff", b"", b"d"]),
    "texts": np.array(["a", "b\0c", "\ud800", ""]),
    "dates": np.array(["2024-01-01", "NaT", "2024-01-02", "1000-01-01"], dtype="M8[s]"),
    "records": np.zeros(4, dtype=[("a", "f8"), ("b", "i4")]),
    "void": np.zeros(4, dtype="V8"),
    "huge": np.full((4, 2), 1e300),
    "infinite": np.array([np.inf, 1, 2, 3]),
    "unsigned": np.full(4, 2**64 - 1, dtype=np.uint64),
    "long": np.zeros(4, dtype=np.longdouble),
    "half": np.zeros((4, 2), dtype=np.float16),
    "words": np.array([["a", "b"]] * 4),
}


@functools.cache
def _h5_kinds() -> tuple[str, ...]:
    return (
        *ODD_ARRAYS,
        "group",
        "soft",
        "external",
        "nothing",
        "null",
        "references",
        "ragged",
        "enum",
        "gone",
        "compressed",
    )


def _h5(changes: list[tuple[str, str]]) -> bytes:
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        for name, values in _columns().items():
            kind = dict(changes).get(name, "")
            _put(file, name, ODD_ARRAYS.get(kind, values), kind)
    return content.getvalue()


def _put(file: h5py.File, name: str, values: np.ndarray, kind: str) -> None:
    match kind:
        case "group":
            file.create_group(name)
        case "soft":
            file[name] = h5py.SoftLink("/elsewhere")
        case "external":
            file[name] = h5py.ExternalLink("/etc/hostname", "/x")
        case "nothing":
            file.create_dataset(name, data=h5py.Empty("f8"))
        case "null":
            file.create_dataset(name, (4,), dtype=h5py.string_dtype())
        case "references":
            file.create_dataset(name, data=np.array([file.ref] * 4, dtype=h5py.ref_dtype))
        case "ragged":
            file.create_dataset(name, (4,), dtype=h5py.vlen_dtype(np.float64))[0] = [1.0, 2.0]
        case "enum":
            file.create_dataset(name, data=[0, 1, 0, 1], dtype=h5py.enum_dtype({"NO": 0, "YES": 1}, "i1"))
        case "gone":
            pass
        case "compressed":
            file.create_dataset(name, data=np.zeros((4, 2)), compression="gzip", chunks=(1, 2))
        case _ if values.dtype.kind == "U":
            plain = [text.replace("\0", "").encode("utf-8", "surrogatepass") for text in values.ravel().tolist()]
            texts = np.array(plain, dtype=object).reshape(values.shape)
            file.create_dataset(name, data=texts, dtype=h5py.string_dtype())
        case _ if values.dtype.kind == "M":
            file.create_dataset(name, data=values.astype(h5py.opaque_dtype(values.dtype)))
        case _:
            file.create_dataset(name, data=values)


def _hdf5() -> st.SearchStrategy[bytes]:
    swaps = st.tuples(st.sampled_from(list(_columns())), st.sampled_from(_h5_kinds()))
    return st.lists(swaps, max_size=2).map(_h5) | changed_bytes(st.just(_h5([])), most=2)


TARGETS = (
    Target("table.csv", changed_file(CSV, odd=CELLS), _described("table.csv"), holds, file="table.csv"),
    Target(
        "table.yaml",
        changed_file(SPEC.format(file="table.csv"), odd=(*YAML, *HEADER, "table.yaml", "x.csv", '"a\\0b"')),
        _spec,
        holds,
        file="table",
    ),
    Target(
        "published table",
        changed_file(PUBLISHED_CSV, odd=(*PUBLISHED, *CELLS)),
        _published,
        holds,
        file="table.csv",
    ),
    Target("table.xlsx", st.deferred(_workbooks), _described("table.xlsx"), holds, file="table.xlsx"),
    Target("table.npz", st.deferred(_npz), _described("table.npz"), holds, file="table.npz"),
    Target("table.h5", st.deferred(_hdf5), _described("table.h5"), holds, file="table.h5"),
)
