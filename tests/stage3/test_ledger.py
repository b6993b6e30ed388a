"""The list of models that a test split has been scored with."""

from pathlib import Path

from common.manifest import CachedClip
from stage3_mlp.ledger import scored_before


def clip(name: str, video: str = "") -> CachedClip:
    return CachedClip(name, "test", f"{name}.mp4", 10, True, "content", video)


def test_other_models_are_counted_once_each(tmp_path: Path) -> None:
    clips = [clip("a"), clip("b")]
    assert [scored_before(tmp_path, clips, weights, "run", print) for weights in "xyxyz"] == [0, 1, 1, 1, 2]


def test_another_set_of_clips_is_another_list_and_names_do_not_matter(tmp_path: Path) -> None:
    assert scored_before(tmp_path, [clip("a", "v1"), clip("b", "v2")], "x", "run", print) == 0
    assert scored_before(tmp_path, [clip("a", "v1")], "y", "run", print) == 0
    assert scored_before(tmp_path, [clip("other", "v2"), clip("name", "v1")], "z", "run", print) == 1


def test_a_list_that_a_kill_has_torn_is_mended(tmp_path: Path) -> None:
    clips = [clip("a")]
    assert scored_before(tmp_path, clips, "x", "run", print) == 0
    (path,) = (tmp_path / "scored").glob("*.jsonl")
    with path.open("a", encoding="utf-8") as file:
        file.write('{"time": "2026", "run": "other", "mod')
    assert scored_before(tmp_path, clips, "y", "run", print) == 1
    assert scored_before(tmp_path, clips, "z", "run", print) == 2
    path.write_bytes(b"\xff\n{}\n[]\n")
    assert scored_before(tmp_path, clips, "z", "run", print) == 0
