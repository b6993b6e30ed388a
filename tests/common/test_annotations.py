"""Annotation files, whole and broken."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from common.datasets.annotations import fit_to_frames, read_annotation, scan_annotation
from common.errors import DataError

HEADER = b"valence,arousal\n"


def test_not_annotated_is_nan_and_never_a_number(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("\ufeffValence,AROUSAL\r\n0.25,-1\r\n-5,-5\r\n-5,0.5\r\n0.5,-5.0\r\n1,1\r\n\r\n".encode())
    nothing = [np.nan, np.nan]
    np.testing.assert_array_equal(read_annotation(path), [[0.25, -1], nothing, nothing, nothing, [1, 1]])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "a.txt is empty"),
        (b"\r\n \n", "a.txt is empty"),
        (HEADER, "a.txt has a header and no rows"),
        (b"arousal,valence\n0,0\n", "line 1 is 'arousal,valence'"),
        (b"0,0\n0,0\n", "line 1 is '0,0'"),
        (HEADER + b"0.1,0.2\n0.1\n", "line 3 is '0.1'"),
        (HEADER + b"0.1,0.2,0.3\n", "line 2 is '0.1,0.2,0.3'"),
        (HEADER + b"0.1,x\n", "line 2 is '0.1,x'"),
        (HEADER + b"0.1,0.2\n\n0.1,0.2\n", "line 3 is ''"),
        (HEADER + b"nan,0\n", "line 2: valence is nan"),
        (HEADER + b"0,inf\n", "line 2: arousal is inf"),
        (HEADER + b"-inf,0\n", "line 2: valence is -inf"),
        (HEADER + b"0,1.01\n", "line 2: arousal is 1.01"),
        (HEADER + b"-1.01,0\n", "line 2: valence is -1.01"),
        (HEADER + b"0,0\n0,0 \xfc\n", r"line 3 isn't UTF-8 text \(byte 0xfc\)"),
        ("valence,arousal\n0,0\n".encode("utf-16"), r"line 1 isn't UTF-8 text \(byte 0xff\)"),
    ],
)
def test_broken_annotations_say_where(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(content)
    with pytest.raises(DataError, match=says):
        read_annotation(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="There is no annotation file"):
        read_annotation(tmp_path / "b.txt")


def test_scanning_goes_on_after_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(HEADER + b"0.5,0.25\n7,0\n-5,-5\nx,0\n-0.5,1\n")
    labels, faults = scan_annotation(path)
    nothing = [np.nan, np.nan]
    np.testing.assert_array_equal(labels, [[0.5, 0.25], nothing, nothing, nothing, [-0.5, 1]])
    assert [fault.problem for fault in faults] == [f"{path}, line 3: valence is 7.0.", f"{path}, line 5 is 'x,0'."]


def test_small_differences_are_mended_and_said_large_ones_refused() -> None:
    labels = np.zeros((100, 2), dtype=np.float32)
    same, said = fit_to_frames(labels, 100, Path("a.txt"))
    assert same is labels and said is None
    longer, said = fit_to_frames(labels, 103, Path("a.txt"))
    assert np.isnan(longer[100:]).all() and said is not None and "100 rows for 103 frames" in said
    shorter, said = fit_to_frames(labels, 96, Path("a.txt"))
    assert len(shorter) == 96 and said is not None and "4 surplus rows" in said
    with pytest.raises(DataError, match="100 rows, its video 120 frames"):
        fit_to_frames(labels, 120, Path("a.txt"))
