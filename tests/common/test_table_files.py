"""Comma-separated files and workbooks as programs write them, and what they may hold besides values."""

from __future__ import annotations

import csv
import datetime
import io
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from xml.sax.saxutils import escape

import openpyxl
import pytest
from openpyxl.cell.rich_text import CellRichText, TextBlock
from openpyxl.cell.text import InlineFont
from openpyxl.xml.constants import SHEET_MAIN_NS

from common.datasets.tables import delimited
from common.datasets.tables.workbook import Strings
from tests.common.table_files import as_excel, faults, row, surveyed, write_csv, write_xlsx


@pytest.mark.parametrize(
    "how", [{"end": "\r\n"}, {"encoding": "utf-8-sig"}, {"sign": ";"}, {"sign": "\t"}, {"end": "\r\n\r\n"}], ids=str
)
def test_commaseparated_tables_as_programs_write_them(how: dict[str, str], tmp_path: Path) -> None:
    rows = [row(number, Utterance=f'Line\none, "{number}"; é’') for number in range(4)]
    found = surveyed(write_csv(tmp_path / "t.csv", rows, **how), tmp_path / "cache")
    assert found.findings == ()
    assert {clip.utterances[0].text for clip in found.clips} == {one["Utterance"] for one in rows}
    # A blank line is a row of a spreadsheet.
    numbers = (3, 5, 7, 9) if how.get("end") == "\r\n\r\n" else (2, 3, 4, 5)
    assert [clip.id for clip in found.clips] == [f"row_{number}" for number in numbers]


def test_rows_are_counted_as_a_spreadsheet_counts_them(tmp_path: Path) -> None:
    path = write_csv(
        tmp_path / "t.csv", [row(0, Utterance="two\nlines"), row(1, Utterance="and\nmore"), row(2, V3="x")]
    )
    assert "row 4, column V3 is 'x'" in faults(path, tmp_path / "cache")[0]
    content = path.read_text().splitlines()
    path.write_text("\n".join([content[0], "", "  , ,,,,", *content[1:]]) + "\n")
    assert "row 6, column V3 is 'x'" in faults(path, tmp_path / "cache")[0]


def test_windows_bytes_amid_utf8_are_read_and_said(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "t.csv", [row(0, Utterance="caf\u00e9 it?s"), row(1)])
    path.write_bytes(path.read_bytes().replace(b"it?s", b"it\x92s"))
    found = surveyed(path, tmp_path / "cache")
    assert found.clips[0].utterances[0].text == "café it’s"
    remark = "t.csv isn't UTF-8 throughout: bytes that aren't were read as Windows-1252."
    assert found.remarks[0] == remark and surveyed(path, tmp_path / "cache").remarks[0] == remark


def test_what_is_no_comma_separated_table_is_refused(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "t.csv", [row(0)])
    good = path.read_text()
    for content, message in [
        (good + '"never closed', r"line 3: this is no comma-separated table"),
        (good + "a,b\n", r"row 3 has 2 cell\(s\)\. A row has 6"),
        (good.splitlines()[0] + "\n", r"holds no row"),
        ("", r"t\.csv is empty"),
    ]:
        path.write_text(content)
        assert re.search(message, faults(path, tmp_path / "cache")[0])
    path.write_bytes(good.encode() + b"\x81,,,,,\n")
    assert "is neither UTF-8 nor Windows-1252 text" in faults(path, tmp_path / "cache")[0]
    path.write_text(good, encoding="utf-16")
    assert "is UTF-16 text. Save it as CSV UTF-8." in faults(path, tmp_path / "cache")[0]


def test_long_cells_are_read_and_the_modules_limit_is_as_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = csv.field_size_limit()
    path = write_csv(tmp_path / "t.csv", [row(0, Utterance="x" * (before + 1)), row(1)])
    limits = []
    for _ in delimited.records(path):
        limits.append(csv.field_size_limit())
    assert set(limits) == {before} == {csv.field_size_limit()}
    assert len(surveyed(path, tmp_path / "cache").clips[0].utterances[0].text) == before + 1
    monkeypatch.setattr(delimited, "LONGEST", before)
    assert "field larger than field limit" in faults(write_csv(path, [row(2, Utterance="y" * 200_000)]), tmp_path)[0]
    assert csv.field_size_limit() == before


def change(book: openpyxl.Workbook, what: str) -> None:
    sheet = book.active
    if what == "formula":
        sheet["A3"], sheet["B4"] = "=A2", "=CONCATENATE(B2, B3)"
    elif what == "merged":
        sheet.merge_cells("A3:A4")
    elif what == "error":
        sheet["B3"] = "#N/A"
    elif what == "date":
        sheet["A3"] = datetime.date(2020, 1, 2)


@pytest.mark.parametrize(
    ("what", "messages"),
    [
        (
            "formula",
            [r"row 3, column Utterance \(A\) is the formula '=A2'\. Copy", r"row 4, column V1 \(B\) is the formula"],
        ),
        ("merged", [r"row 3: the cells A3:A4 are merged\. Unmerge them"]),
        ("error", [r"row 3, column V1 is the error #N/A\. Correct"]),
        (
            "date",
            [r"row 3, column Utterance is datetime\.datetime\(2020.* is no text\. Give the column the format Text"],
        ),
    ],
)
def test_what_a_workbook_may_hold_besides_values(what: str, messages: list[str], tmp_path: Path) -> None:
    path = write_xlsx(tmp_path / "t.xlsx", [row(number) for number in range(4)], lambda book: change(book, what))
    found = faults(path, tmp_path / "cache")
    assert len(found) == len(messages)
    for text, message in zip(found, messages, strict=True):
        assert re.search(message, text), text


def test_formulas_and_merged_cells_in_other_columns_do_no_harm(tmp_path: Path) -> None:
    def more(book: openpyxl.Workbook) -> None:
        sheet = book.active
        sheet["H1"], sheet["H2"] = "notes", "=1+1"
        sheet.merge_cells("I1:I3")

    path = write_xlsx(tmp_path / "t.xlsx", [row(0), row(1, Utterance=911), row(2, Utterance="=)")], more)
    book = openpyxl.load_workbook(path)
    book.active["A4"].data_type = "s"
    book.save(path)
    found = surveyed(path, tmp_path / "cache")
    assert [clip.utterances[0].text for clip in found.clips] == ["Utterance 0.", "911", "=)"]


def test_the_sheet_with_the_columns_is_read(tmp_path: Path) -> None:
    def notes_first(book: openpyxl.Workbook) -> None:
        book.create_sheet("Notes", 0).append(["what", "why"])
        book.create_sheet("Nothing")

    found = surveyed(write_xlsx(tmp_path / "t.xlsx", [row(0), row(1)], notes_first), tmp_path / "cache")
    assert len(found.clips) == 2
    assert found.remarks[0] == "t.xlsx: the sheet 'Sheet' is read, 'Notes' not."

    def twice(book: openpyxl.Workbook) -> None:
        book.copy_worksheet(book.active)

    (text,) = faults(write_xlsx(tmp_path / "t.xlsx", [row(0)], twice), tmp_path / "cache")
    assert "the sheets 'Sheet' and 'Sheet Copy' have the same columns. Leave one" in text


@pytest.mark.parametrize("kept", [lambda path: path, as_excel], ids=["in its cell", "in a list"])
def test_rich_text_is_text(kept: Callable[[Path], Path], tmp_path: Path) -> None:
    rich = CellRichText("It ", TextBlock(InlineFont(b=True), "went"), " well.")
    path = kept(write_xlsx(tmp_path / "t.xlsx", [row(0, Utterance=rich), row(1)]))
    assert surveyed(path, tmp_path / "cache").clips[0].utterances[0].text == "It went well."


def test_strings_of_a_workbook_are_read_as_far_as_asked_for(tmp_path: Path) -> None:
    texts = ["first", "", "Wörter 🎬 <&>", "x" * 100_000, *(f"text {number}" for number in range(5000))]
    listed = "".join(f"<si><t>{escape(text)}</t></si>" for text in texts)
    stream = io.BytesIO(f'<sst xmlns="{SHEET_MAIN_NS}">{listed}</sst>'.encode())
    strings = Strings(stream, tmp_path)
    assert strings[2] == texts[2]
    assert stream.tell() < len(stream.getvalue()) / 2
    assert [strings[number] for number in (5003, 0, 3, 1, 4999)] == [texts[number] for number in (5003, 0, 3, 1, 4999)]
    with pytest.raises(IndexError, match="string 5004 of 5004"):
        strings[5004]
    strings.close()


def test_a_cell_that_asks_for_a_string_that_isnt_there(tmp_path: Path) -> None:
    path = as_excel(write_xlsx(tmp_path / "t.xlsx", [row(0), row(1)]))
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    sheet = "xl/worksheets/sheet1.xml"
    parts[sheet] = parts[sheet].replace(b"<v>7</v>", b"<v>700</v>")
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    assert "can't be read as a workbook (string 700 of 18). Save it again" in faults(path, tmp_path / "cache")[0]


@pytest.mark.parametrize("content", [b"", b"no workbook", b"PK\x03\x04 cut off"])
def test_what_is_no_workbook_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "t.xlsx"
    path.write_bytes(content)
    (text,) = faults(path, tmp_path / "cache")
    assert re.search(r"t\.xlsx can't be read as a workbook \(.+\)\. Save it again as \.xlsx\.", text)


def test_a_damaged_workbook_is_refused(tmp_path: Path) -> None:
    path = write_xlsx(tmp_path / "t.xlsx", [row(number) for number in range(20)])
    content = bytearray(path.read_bytes())
    for at in range(2000, len(content) - 4000, 997):
        content[at] ^= 0xFF
    path.write_bytes(content)
    assert "can't be read as a workbook" in faults(path, tmp_path / "cache")[0]
