"""What is left of 2,000 clips is exactly what was taken away; the benchmark's parts run."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks import scaling, scaling_set
from benchmarks.scaling_set import WHY, Places, clips_of, make, plan_of, why_left
from stage1_embeddings.left import left

CLIPS = 2000


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    monkeypatch.setattr(scaling_set, "ONE_IN", 40)
    found = Places(tmp_path / "a set")
    make(found, CLIPS)
    return found


def test_exactly_what_is_not_done_is_left(places: Places) -> None:
    whys = {clip.id: why_left(number) for number, clip in enumerate(clips_of(places, CLIPS))}
    assert {why: list(whys.values()).count(why) for why in WHY} == dict.fromkeys(WHY, 10)
    expected = [name for name, why in whys.items() if why not in (None, "failed")]
    assert [clip.id for clip in left(plan_of(places), clips_of(places, CLIPS))] == expected
    failed = [name for name, why in whys.items() if why == "failed"]
    again = [clip.id for clip in left(plan_of(places), clips_of(places, CLIPS), retry_failed=True)]
    assert sorted(set(again) - set(expected)) == failed and set(expected) < set(again)


def test_what_the_index_lacks_is_opened(places: Places) -> None:
    shutil.rmtree(plan_of(places).folder / ".index")
    found = {clip.id for clip in left(plan_of(places), clips_of(places, 100))}
    assert len(found) == 100, "none of the stand-ins is a clip file"


def test_its_parts_run(places: Places) -> None:
    for part in scaling.PARTS:
        assert part(places, CLIPS) > 0, part.__name__
    assert scaling.peak_mib() > 1


def test_a_wrong_listing_is_no_result(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaling, "why_left", lambda number: "missing")
    with pytest.raises(SystemExit, match="of 2000 clips are left, not 2000: the listing is wrong"):
        scaling.listed(places, CLIPS)


def test_the_command_says_how_it_grows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaling, "PARTS", (scaling.listed,))
    result = CliRunner().invoke(scaling.main, ["--clips", "2000", "--folder", str(tmp_path)])
    assert result.exit_code == 0 and "Listing what is left to do:\n      1,000 clips" in result.output, result.output
    assert "grows with the power" in result.output
    assert list(tmp_path.iterdir()) == []
