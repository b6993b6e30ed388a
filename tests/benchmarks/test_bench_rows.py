"""The table of benchmarks: what is measured comes out as it went in, and what falls short says so."""

from __future__ import annotations

import json
from itertools import count
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import benchmarks.__main__ as bench
from benchmarks.alone import alone
from benchmarks.machine import machine
from benchmarks.measure import in_turns, row
from benchmarks.row import HEADINGS, Rival, Row, Spread, figure, from_json, lines, markdown, remarks, text, to_json
from common.errors import DataError, UsageError

PROJECT = Path(__file__).resolve().parents[2]

numbers = st.floats(1e-6, 1e9)
words = st.text("ab |\n", max_size=5)
spreads = st.builds(Spread, numbers, numbers, numbers)
rivals = st.builds(Rival, words, spreads, spreads, st.none() | numbers)
rows = st.builds(Row, words, words, spreads, st.tuples(rivals), st.none() | rivals, st.none() | numbers, words, words)


def measured(**settings: object) -> Row:
    costs = {"ours": [1.0, 2.0, 3.0], "slow": [4.0, 8.0, 6.0], "bare": [0.5, 1.0, 2.0]}
    return row("windows", "s", costs, ours="ours", **settings)  # type: ignore[arg-type]


@given(rows)
def test_rows_come_back_from_json(one: Row) -> None:
    assert from_json(json.loads(json.dumps(to_json(one)))) == one
    assert all(len(line) == len(HEADINGS) for line in lines(one))


def test_ratios_are_taken_turn_by_turn() -> None:
    one = measured(alternatives={"slow": 4.0}, limit=("bare", 0.8))
    assert one.alternatives[0].ratio == Spread(4.0, 2.0, 4.0) and one.alternatives[0].reached
    assert one.limit is not None and one.limit.ratio == Spread(0.5, 0.5, pytest.approx(2 / 3))
    assert one.limit.reached is False and one.short


def test_a_rate_has_the_same_ratios() -> None:
    one = measured(alternatives={"slow": None}, work=12.0)
    assert one.ours == Spread(6.0, 4.0, 12.0) and one.alternatives[0].value.median == 2.0
    assert one.alternatives[0].ratio.median == 4.0 and not one.short


@pytest.mark.parametrize(("bar", "short"), [(2.0, False), (1.9, True)])
def test_a_bar_on_our_own_figure(bar: float, short: bool) -> None:
    one = measured(at_most=bar, why="It waits.")
    assert one.short is short
    assert remarks([one]) == (["windows: It waits."] if short else [])
    assert ("not reached" in text([one])) is short


def test_what_falls_short_without_a_reason_says_that() -> None:
    assert "the reason is not known" in text([measured(at_most=0.1)])


def test_markdown_is_one_table() -> None:
    one = measured(alternatives={"slow": 1.0}, note="Warm.")
    table = [line for line in markdown([one]).splitlines() if line.startswith("|")]
    assert {line.count("|") for line in table} == {len(HEADINGS) + 1}
    assert "- windows: Warm." in markdown([one])


@pytest.mark.parametrize(("value", "shown"), [(0, "0"), (164.4, "164"), (1.7349, "1.73"), (0.00521, "0.00521")])
def test_figures_have_three_digits(value: float, shown: str) -> None:
    assert figure(value) == shown


def test_turns_alternate_and_the_first_is_not_counted() -> None:
    called: list[str] = []
    ticks = count()
    ways = {name: lambda name=name: called.append(name) for name in "ab"}
    found = in_turns(ways, 2, clock=lambda: float(next(ticks)))
    assert called == ["a", "b", "b", "a", "a", "b"]
    assert found == {"a": [1.0, 1.0], "b": [1.0, 1.0]}
    with pytest.raises(ValueError, match="no spread"):
        in_turns(ways, 1)


def test_a_benchmark_alone_writes_its_rows_and_says_errors_in_a_sentence(tmp_path: Path) -> None:
    def made(quick: bool, device: str) -> list[Row]:
        if device == "moon":
            raise UsageError("There is no moon.", "Use cpu.")
        return [measured(note=f"quick: {quick}")]

    path = tmp_path / "rows.json"
    result = CliRunner().invoke(alone(made), ["--quick", "--json", str(path)])
    assert result.exit_code == 0 and "quick: True" in result.output
    assert [from_json(one).note for one in json.loads(path.read_text())] == ["quick: True"]
    result = CliRunner().invoke(alone(made), ["--device", "moon"])
    assert result.exit_code == 2 and "error: There is no moon. Use cpu." in result.output


def test_a_part_that_fails_is_named_and_the_others_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "PARTS", ("nothing", "start"))
    monkeypatch.setattr(
        bench, "measured", lambda part, **_: None if part == "nothing" else [to_json(measured(note="there"))]
    )
    path = tmp_path / "results.json"
    result = CliRunner().invoke(bench.main, ["--save", str(path)])
    assert result.exit_code == 1 and "nothing failed" in result.output and "there" in result.output
    results = json.loads(path.read_text())
    assert list(results["parts"]) == ["start"] and results["machine"]["cores"] >= 1
    shown = CliRunner().invoke(bench.main, ["--show", str(path)])
    assert shown.exit_code == 0 and "| windows |" in shown.output


def test_all_parts_are_modules_with_rows() -> None:
    for part in bench.PARTS:
        source = (PROJECT / "benchmarks" / f"{part}.py").read_text(encoding="utf-8")
        assert "def rows(quick: bool, device: str)" in source and "main = alone(rows)" in source, part


def test_the_readme_shows_the_table_of_a_file_of_results() -> None:
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    shown = [
        bench.shown(json.loads(path.read_text(encoding="utf-8")))
        for path in sorted((PROJECT / "benchmarks" / "results").glob("*.json"))
        if not path.stem.endswith("-quick")
    ]
    assert shown, "no results are kept"
    tables = ["\n".join(line for line in one.splitlines() if line.startswith("|")) for one in shown]
    assert any(table in readme for table in tables), "make bench, then put `python -m benchmarks --show` in"


def test_a_file_of_results_that_is_broken_or_of_another_machine_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    assert bench.known(path, {"cores": 2}) == {}
    path.write_text("{", encoding="utf-8")
    with pytest.raises(DataError, match="is no file of results"):
        bench.known(path, {"cores": 2})
    path.write_text(json.dumps({"machine": {"cores": 4, "kind": "cpu"}, "parts": {"start": 1}}), encoding="utf-8")
    with pytest.raises(DataError, match="of this one as it was: cores differ"):
        bench.known(path, {"cores": 2, "kind": "cpu"})
    assert bench.known(path, {"cores": 4, "kind": "cpu"}) == {"start": 1}


def test_a_device_that_is_not_there_is_said_in_a_sentence() -> None:
    done = CliRunner().invoke(bench.main, ["--device", "cuda:99"])
    assert done.exit_code == 2 and "DEVICE=cuda:99 isn't available" in done.output


def test_no_row_stays_of_a_part_that_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "results.json"
    kept = {"rows": [], "quick": True, "time": "2026-01-01"}
    path.write_text(json.dumps({"machine": machine("cpu"), "parts": {"cache": kept, "start": kept}}), encoding="utf-8")
    monkeypatch.setattr(bench, "measured", lambda part, **_: None)
    done = CliRunner().invoke(bench.main, ["--device", "cpu", "--only", "start", "--save", str(path)])
    assert done.exit_code == 1 and "start failed" in done.output
    assert list(bench.read_results(path)["parts"]) == ["cache"]
