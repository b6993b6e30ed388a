"""What fuzzing has found, each by the smallest input that shows it; and that the harness finds what it is for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from common.datasets.annotations import read_annotation
from common.errors import DataError, MavenError, printable
from common.history import read_state
from common.outside_text import json_of, lines_of, number_of, shortened, yaml_of
from common.reasons import in_a_line
from common.recipe import load_recipe
from tests.fuzz.changes import HUGE, changed_file
from tests.fuzz.labels import ANNOTATION, EMOBANK, MELD, SAMPLE
from tests.fuzz.recipes import LAUGHS, MAPS, WHOLE
from tests.fuzz.runs import RECORD, STATE
from tests.fuzz.tables import CSV, ODD_ARRAYS, SPEC, _columns, _npy, workbook
from tests.fuzz.target import Target, feed
from tests.fuzz.test_fuzz import TARGETS
from tests.fuzz.transcripts import WHISPER

BY_NAME = {target.name: target for target in TARGETS}
DEEP = "[" * 9999 + "]" * 9999  # JSON
DEEP_YAML = "- " * 9999


def archive(parts: dict[str, bytes]) -> bytes:
    from tests.fuzz.changes import zipped

    return zipped(parts)


def npz(**changed: bytes) -> bytes:
    return archive({f"{name}.npy": changed.get(name, _npy(values)) for name, values in _columns().items()})


def xlsx(old: str, new: str) -> bytes:
    sheet = "xl/worksheets/sheet1.xml"
    return archive({**workbook(), sheet: workbook()[sheet].decode().replace(old, new).encode()})


def word(**changed: Any) -> bytes:
    return json.dumps({"segments": [{"start": 0, "end": 1, "text": "a", **changed}]}).encode()


def header(text: str) -> bytes:
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


@pytest.mark.parametrize(
    ("target", "given", "says"),
    [
        ("annotations", b"valence,arousal\n0.1,0.2\x0c0.3,0.4\n", "line 2 is '0.1,0.2"),
        ("annotations", "valence,arousal\n0.1,0.2\u20280.3,0.4\n".encode(), "line 2 is"),
        ("annotations", b"valence,arousal\n0_1,0\n", "line 2 is '0_1,0'"),
        ("annotations", "valence,arousal\n٠,0\n".encode(), "line 2 is"),
        ("annotations", f"valence,arousal\n{'x' * 99999}\n".encode(), r"xx\.\.\.' \(99999 characters\)"),
        ("sample file", b"image_location\na\0b/1.jpg\n", "line 2 is"),
        ("sample file", "image_location\na\u202eb/1.jpg\n".encode(), "line 2 is"),
        ("MELD's table", MELD.replace("also", "al\0so").encode(), "row 2, column Utterance is .* NUL"),
        ("MELD's table", MELD.replace("Season", "Emotion").encode(), "two columns Emotion"),
        ("EmoBank's table", EMOBANK.replace("A sentence", "A\0").encode(), "line 2: the text of 'a_1' has a NUL"),
        ("EmoBank's table", EMOBANK.replace("3.0", "0_3").encode(), "V is '0_3'"),
        ("EmoBank's table", EMOBANK.replace("a_1", "x" * 5000).encode(), "can't name a clip"),
        ("transcript .align", b"1_0 20 set\n", "time '1_0'"),
        ("transcript .txt", "[٣s - 4s] a\n".encode(), "time '٣'"),
        ("transcript .json", word(start=["[" * 99999]), r"\(100003 characters\)"),
        ("transcript .json", word(text="\ud800" * 9999), r"characters\)"),
        ("recipe", WHOLE.replace("seed: 7", "seed: 2024-13-99").encode(), "isn't valid YAML: month must be"),
        ("recipe", WHOLE.replace("seed: 7", f"seed: {HUGE}").encode(), "isn't valid YAML: Exceeds the limit"),
        ("recipe", WHOLE.replace("seed: 7", "seed: !!bool x").encode(), "isn't of the type that its tag names"),
        ("recipe", WHOLE.replace("seed: 7", "seed: !!int").encode(), "isn't of the type that its tag names"),
        ("recipe", WHOLE.replace("seed: 7", "seed: !!timestamp x").encode(), "isn't of the type that its tag names"),
        ("recipe", WHOLE.replace("seed: 7", f"seed:\n  {DEEP_YAML}x").encode(), "nested too deeply"),
        ("recipe", WHOLE.replace("seed: 7", "seed: &x {a: *x}").encode(), "an alias stands inside"),
        ("recipe", WHOLE.replace("seed: 7", f"seed: {LAUGHS}").encode(), "more than 100,000 values"),
        ("recipe", WHOLE.replace("seed: 7", f"seed: {MAPS}").encode(), "more than 100,000 values"),
        ("recipe", WHOLE.replace("0.5, patience", ".nan, patience").encode(), "plateau.factor"),
        ("recipe", WHOLE.replace("[0.2, 0.5]", "[.nan]").encode(), "widths_s"),
        ("recipe", WHOLE.replace("1.0e-3", ".inf").encode(), "learning_rate"),
        ("recipe", f"base: {'y' * 5000}\n".encode(), "There is no recipe called"),
        ("recipe", b'base: "\\ud800/x.yaml"\n', r"There is no recipe at .*\\ud800/x.yaml"),
        ("--set", ["seed=2024-13-99"], "isn't valid YAML"),
        ("--set", [f"seed={DEEP_YAML}"], "isn't valid YAML"),
        ("--set", [f"{'x' * 9999}=1"], r"x\.\.\.: isn't a setting"),
        ("--recipe", "x" * 5000, "There is no recipe called"),
        ("--shard", "٣/٤", "isn't i/n"),
        ("--shard", f"1/{HUGE}", "isn't i/n"),
        ("table.csv", CSV.replace('"d2"', f'"{HUGE}"').encode(), "can't name a clip"),
        ("table.yaml", SPEC.format(file="table.csv").replace("who", "2024-13-99").encode(), "isn't valid YAML"),
        ("table.yaml", SPEC.format(file="table.csv").replace("face", "!!bool x").encode(), "isn't valid YAML"),
        ("table.yaml", SPEC.format(file="x" * 5000).encode(), "table"),
        ("table.yaml", SPEC.format(file="table.csv").replace("face", "x" * 5000).encode(), "longer than 200"),
        ("table.xlsx", xlsx('<row r="2"', '<row r="99999999999999999999"'), "row"),
        ("table.npz", npz(face=header("(((")), "can't be read as .npz"),
        ("table.npz", npz(face=header("{'descr': '<f8', 'fortran_order': False, 'shape': (4, 2), }")), "holds less"),
        ("table.npz", npz(face=header("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }")), "holds less"),
        ("table.npz", npz(said=_npy(ODD_ARRAYS["texts"])), "isn't UTF-8|NUL"),
        ("manifest", DEEP.encode(), "isn't a manifest of this program .*nested too deeply"),
        ("manifest", b'{"schema_version": 1, "clips": [null]}', "isn't a manifest"),
        ("record.json", b"[]", "isn't a record of this program"),
        ("record.json", b"{}", "another version"),
        ("record.json", DEEP.encode(), "isn't JSON"),
        ("record.json", json.dumps({**RECORD, "history": [{"loss": 1}]}).encode(), "a row is of epoch None"),
        ("record of the demo corpus", DEEP.encode(), "can't be read as JSON"),
    ],
)  # fmt: skip
def test_it_is_refused_in_a_sentence(target: str, given: Any, says: str, tmp_path: Path) -> None:
    with pytest.raises(MavenError, match=says):
        BY_NAME[target].read(given, tmp_path)


def test_an_axis_that_is_a_truth_value_is_read_as_the_number(tmp_path: Path) -> None:
    face = header("{'descr': '<f8', 'fortran_order': False, 'shape': (4, True), }") + bytes(64)
    found, features = BY_NAME["table.npz"].read(npz(face=face), tmp_path)
    assert len(found.clips) == 3 and features.width("visual") == 1


@pytest.mark.parametrize(
    "state",
    [DEEP, {**STATE, "epoch": "x"}, {**STATE, "log_history": 1}, {**STATE, "log_history": [{"loss": 1.0}]}],
)
def test_a_training_state_that_isnt_one_is_not_whole(state: Any, tmp_path: Path) -> None:
    text = state if isinstance(state, str) else json.dumps(state)
    (tmp_path / "trainer_state.json").write_text(text)
    assert read_state(tmp_path) is None


@pytest.mark.parametrize("language", ["e\0n", "\ud800", "x" * 1000, "", 5])
def test_a_language_that_is_none_is_left_out(language: Any, tmp_path: Path) -> None:
    found = BY_NAME["transcript .json"].read(json.dumps({**WHISPER, "language": language}).encode(), tmp_path)
    assert found.language is None and len(found.segments) == 2


def test_a_recipes_faults_are_listed_up_to_fifty() -> None:
    with pytest.raises(MavenError, match=r"(?s)80 fault\(s\).*and 30 more\n") as caught:
        load_recipe("demo", tuple(f"x{number}=1" for number in range(80)))
    assert len(caught.value.problem.splitlines()) == 52


def test_texts_are_read_strictly_and_said_shortly() -> None:
    assert lines_of("a\r\nb\rc\nd\x0ce\u2028f\n") == ["a", "b", "c", "d\x0ce\u2028f"]
    assert lines_of("a\n\n") == ["a", ""] and lines_of("") == []
    assert (
        number_of(" -1e-3 ") == -1e-3
        and json_of("[1]") == [1]
        and yaml_of("a: &x [1, *y]".replace("*y", "2")) is not None
    )
    for wrong in ("1_0", "٣", "0x1", ""):
        with pytest.raises(ValueError):
            number_of(wrong)
    assert shortened("a" * 41) == "'" + "a" * 39 + "...' (41 characters)" and shortened("a") == "'a'"
    assert in_a_line("a\n  b", 3) == "a b" and in_a_line("abcd", 3) == "abc..."
    assert printable("ä\x1b[2J\ud800\n") == "ä\\x1b[2J\\ud800\n" and str(DataError("\0", "\u202e")) == "\\x00 \\u202e"


@pytest.mark.parametrize(
    ("read", "found"),
    [
        (lambda text: float("x") if b"-5" in text and b"0.1" not in text else None, ValueError),
        (lambda text: [][1] if text.count(b"\n") > 6 else None, IndexError),
        (lambda text: text.decode("utf-8") and None, UnicodeDecodeError),
    ],
)
def test_a_planted_fault_is_found(read: Callable[[bytes], Any], found: type[Exception], tmp_path: Path) -> None:
    target = Target("planted", changed_file(ANNOTATION), lambda content, _: read(content))
    with pytest.raises(Exception) as caught:  # several failures come as a group
        feed(target, tmp_path, 400)
    assert caught.group_contains(found) if isinstance(caught.value, BaseExceptionGroup) else caught.type is found


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (DataError("x" * 2000, "Cure."), "2005 characters|2006 characters"),
        (DataError("It is broken.", ""), "It is broken"),
        (DataError("another.txt is broken.", "Restore it."), "another.txt"),
    ],
)
def test_a_sentence_that_is_none_is_found(fault: DataError, says: str, tmp_path: Path) -> None:
    def refuse(content: bytes, folder: Path) -> None:
        raise fault

    with pytest.raises(AssertionError, match=says):
        feed(Target("planted", st.just(b""), refuse, file="video.txt"), tmp_path, 1)


def test_a_result_that_is_wrong_is_found(tmp_path: Path) -> None:
    """Rows past a form feed, as `str.splitlines` would count them."""
    path = tmp_path / "video.txt"
    path.write_bytes(SAMPLE.encode())
    with pytest.raises(DataError):
        read_annotation(path)

    def holds(found: bytes) -> None:
        assert (
            len(found.decode("utf-8", "replace").splitlines())
            == found.replace(b"\r", b"").rstrip(b"\n").count(b"\n") + 1
        )

    with pytest.raises(AssertionError):
        feed(Target("planted", changed_file(ANNOTATION), lambda content, _: content, holds), tmp_path, 400)
