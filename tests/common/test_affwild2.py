"""Aff-Wild2's layout as it is distributed, whole and in disorder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from common.datasets import affwild2, open_dataset
from common.datasets.survey import Survey
from common.errors import DataError, UsageError

TRAIN, VALIDATION, TEST = "Train_Set", "Validation_Set", "Test_Set"
ROWS = "valence,arousal\n0.5,-0.5\n"


def layout(
    root: Path,
    names: dict[str, list[str]],
    videos: Sequence[str] = (),
    crops: Sequence[str] = (),
    annotations: str = "annotations",
) -> Path:
    """Annotations, videos in ``videos/batch1`` (or in the folder of their name), folders of one crop each."""
    for folder, clips in names.items():
        place = root / annotations / affwild2.CHALLENGE / folder
        place.mkdir(parents=True, exist_ok=True)
        for clip in clips:
            (place / f"{clip}.txt").write_text(ROWS, encoding="utf-8")
    for video in videos:
        path = root / (video if "/" in video else f"videos/batch1/{video}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    for folder in crops:
        path = root / (folder if "/" in folder else f"cropped_aligned/{folder}")
        path.mkdir(parents=True)
        (path / "00001.jpg").touch()
    return root


def found(root: Path) -> Survey:
    survey = affwild2.survey(root)
    assert survey is not None
    return survey


def kinds(survey: Survey) -> dict[str, list[str]]:
    return {
        finding.kind: [one.text for one in survey.findings if one.kind == finding.kind] for finding in survey.findings
    }


def test_clips_get_their_splits_in_natural_order(tmp_path: Path) -> None:
    names = {TRAIN: ["video10", "video2"], VALIDATION: ["1-30-1280x720"], TEST: ["video3"]}
    layout(tmp_path, names, ["video2.mp4", "video10.avi", "1-30-1280x720.mp4", "video3.mp4", "unused.mp4"])
    dataset = open_dataset(tmp_path, tmp_path / "cache", lambda _: None)
    assert dataset.kind == "affwild2"
    assert [(clip.id, clip.split) for clip in dataset.clips] == [
        ("video2", "train"),
        ("video10", "train"),
        ("1-30-1280x720", "validation"),
        ("video3", "test"),
    ]


@pytest.mark.parametrize("outer", ["", "annotations", "annotations/3rd ABAW Annotations", "a/b/c/d"])
def test_videos_crops_and_annotations_lie_in_several_folders(tmp_path: Path, outer: str) -> None:
    videos = ["batch1/a.mp4", "batch2/b.AVI", "new_vids/deeper/10-60-1280x720.mp4"]
    crops = ["cropped_aligned/a", "cropped_aligned_new_50_vids/b", "x/cropped_aligned/cropped_aligned/10-60-1280x720"]
    layout(tmp_path, {TRAIN: ["a", "b", "10-60-1280x720"]}, videos, crops, outer)
    clips = affwild2.clips(tmp_path)
    assert [clip.id for clip in clips] == ["10-60-1280x720", "a", "b"]
    assert {clip.source.relative_to(tmp_path).as_posix() for clip in clips} == set(videos)
    assert {clip.crops.relative_to(tmp_path).as_posix() for clip in clips if clip.crops} == set(crops)


def test_annotations_below_another_folder_inside_the_challenge_are_found(tmp_path: Path) -> None:
    layout(tmp_path, {}, ["a.mp4"])
    place = tmp_path / affwild2.CHALLENGE / "annotations" / TRAIN
    place.mkdir(parents=True)
    (place / "a.txt").write_text(ROWS)
    assert [clip.id for clip in affwild2.clips(tmp_path)] == ["a"]


def test_a_train_folder_of_something_else_is_not_the_challenge(tmp_path: Path) -> None:
    (tmp_path / "EXPR_Classification_Challenge" / TRAIN).mkdir(parents=True)
    (tmp_path / "a.mp4").touch()
    assert affwild2.survey(tmp_path) is None
    assert open_dataset(tmp_path, tmp_path, lambda _: None).kind == "folder"
    with pytest.raises(DataError, match="has no VA_Estimation_Challenge folder"):
        affwild2.clips(tmp_path)


@pytest.mark.parametrize("task", ["EXPR_Classification_Challenge", "AU_Detection_Challenge"])
def test_labels_of_other_tasks_are_never_entered(tmp_path: Path, task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    layout(tmp_path, {TRAIN: ["a"]}, ["a.mp4"])
    other = tmp_path / "annotations" / task / TRAIN
    (other / "a.txt").mkdir(parents=True)
    (other / "b.txt").write_bytes(b"\xff\xfe not read")
    (other / "c.mp4").touch()
    entered: list[Path] = []
    for name in ("open", "read_bytes", "iterdir"):
        real = getattr(Path, name)
        monkeypatch.setattr(
            Path, name, lambda self, *args, real=real, **kwargs: (entered.append(self), real(self, *args, **kwargs))[1]
        )
    survey = found(tmp_path)
    affwild2.read_annotation(survey.clips[0].annotation or other)
    assert [clip.id for clip in survey.accepted()] == ["a"] and not survey.findings
    assert entered and not [path for path in entered if task in path.parts]


def test_two_people_are_told_apart_by_the_stated_rules(tmp_path: Path) -> None:
    names = {TRAIN: ["one_left", "one_right", "two", "two_right", "three", "three_left"]}
    names |= {VALIDATION: ["four", "four_left", "four_right", "five", "six", "six_left"]}
    videos = ("one", "two", "three", "four", "five", "six", "six_left")
    layout(tmp_path, names, [f"{name}.mp4" for name in videos])
    survey = found(tmp_path)
    assert {clip.id: clip.side for clip in survey.accepted()} == {
        "one_left": "left",
        "one_right": "right",
        "two": "left",
        "two_right": "right",
        "three": "right",
        "three_left": "left",
        "four": None,
        "four_left": "left",
        "four_right": "right",
        "five": None,
        "six": None,
        "six_left": None,  # a video of its own
    }
    assert {clip.source.name for clip in survey.clips if clip.id.startswith("one")} == {"one.mp4"}
    assert sorted(kinds(survey)["people without a side in their name"]) == [
        "four beside four_left and four_right is the largest face.",
        "three beside three_left is the face on the right.",
        "two beside two_right is the face on the left.",
    ]


def test_crops_of_exactly_the_annotations_name_are_that_persons(tmp_path: Path) -> None:
    layout(tmp_path, {TRAIN: ["a", "a_right", "b_left"]}, ["a.mp4"], ["a", "a_right", "b_left"])
    clips = {clip.id: clip for clip in affwild2.clips(tmp_path)}
    assert {name: clip.crops.name for name, clip in clips.items() if clip.crops} == {name: name for name in clips}
    assert clips["b_left"].source == clips["b_left"].crops and clips["b_left"].side is None


def test_without_test_annotations_unnamed_videos_are_the_test_split(tmp_path: Path) -> None:
    names: dict[str, list[str]] = {TRAIN: ["a"], VALIDATION: ["b"], TEST: []}
    crops = ["a_right", "d", "d_left", "e_left", "e_right", "f"]
    layout(tmp_path, names, ["a.mp4", "b.mp4", "c.mp4", "d.mp4", "e.mp4"], crops)
    survey = found(tmp_path)
    clips = survey.accepted()
    test = {clip.id: (clip.annotation, clip.side, clip.source.name) for clip in clips if clip.split == "test"}
    assert test == {
        "c": (None, None, "c.mp4"),
        "d": (None, "right", "d.mp4"),
        "d_left": (None, "left", "d.mp4"),
        "e_left": (None, "left", "e.mp4"),
        "e_right": (None, "right", "e.mp4"),
        "f": (None, None, "f"),
    }
    assert [clip.id for clip in clips][:2] == ["a", "b"]
    assert len(kinds(survey)["videos or crops without annotation: clips of the test split without labels"]) == 6


@pytest.mark.parametrize("names", [{TRAIN: ["a"], TEST: ["b"]}, {VALIDATION: ["a", "b"]}])
def test_otherwise_unnamed_videos_are_passed_over_and_listed(tmp_path: Path, names: dict[str, list[str]]) -> None:
    layout(tmp_path, names, ["a.mp4", "b.mp4", "c.mp4"])
    survey = found(tmp_path)
    assert sorted(clip.id for clip in survey.accepted()) == ["a", "b"]
    (passed,) = kinds(survey)["videos or crops without annotation: passed over"]
    assert passed.endswith("c.mp4")


def test_all_annotations_without_a_video_are_listed(tmp_path: Path) -> None:
    layout(tmp_path, {TRAIN: ["a", "b", "c"]}, ["b.mp4"])
    with pytest.raises(DataError, match=r"2 annotations without video: .*a.txt has neither .*c.txt has neither"):
        affwild2.clips(tmp_path)


def test_everything_in_the_way_is_said_at_once(tmp_path: Path) -> None:
    layout(tmp_path, {TRAIN: ["a", "b", "c"], TEST: ["b"]}, ["b.mp4", "c.mp4", "c.avi"])
    (tmp_path / "annotations" / "older" / affwild2.CHALLENGE / TRAIN).mkdir(parents=True)
    with pytest.raises(DataError) as error:
        affwild2.clips(tmp_path)
    for part in ("Annotations lie in", "called 'c'", "a.txt has neither", r"called 'b'", "check-data"):
        assert part in str(error.value)


def test_a_long_list_is_cut_at_ten(tmp_path: Path) -> None:
    layout(tmp_path, {TRAIN: [f"v{number}" for number in range(14)]}, ["x.mp4"])
    with pytest.raises(DataError, match=r"v9.txt has neither .* And 4 more\.") as error:
        affwild2.clips(tmp_path)
    assert "v10.txt" not in str(error.value)


def test_a_clip_in_two_splits_is_refused(tmp_path: Path) -> None:
    layout(tmp_path, {TRAIN: ["a"], TEST: ["a"]}, ["a.mp4"])
    with pytest.raises(DataError, match=r"Two clips are called 'a'.*train.*test"):
        open_dataset(tmp_path, tmp_path / "cache", lambda _: None)


def test_two_videos_of_one_name_are_refused(tmp_path: Path) -> None:
    layout(tmp_path, {TRAIN: ["a"]}, ["a.mp4", "a.avi"])
    with pytest.raises(DataError, match="Two videos are called 'a'"):
        affwild2.clips(tmp_path)


def test_odd_names_are_names_and_impossible_ones_are_listed(tmp_path: Path) -> None:
    good = ["Zoë's talk", 'say "ah", twice', "5 % of 2"]
    layout(tmp_path, {TRAIN: good}, [f"{name}.mp4" for name in good])
    assert sorted(clip.id for clip in affwild2.clips(tmp_path)) == sorted(good)
    place = tmp_path / "annotations" / affwild2.CHALLENGE / TRAIN
    for name in ("back\\slash", "a\x07bell", b"latin-\xfc".decode("utf-8", "surrogateescape")):
        (place / f"{name}.txt").write_text(ROWS)
        (tmp_path / f"{name}.mp4").touch()
    assert len(kinds(found(tmp_path))["names"]) == 3


def test_what_archives_and_people_leave_among_the_files_is_passed_over(tmp_path: Path) -> None:
    layout(tmp_path, {TRAIN: ["a"]}, ["a.mp4", "__MACOSX/batch1/a.mp4"], ["a"])
    layout(tmp_path, {TRAIN: ["a"]}, annotations="__MACOSX/annotations")
    place = tmp_path / "annotations" / affwild2.CHALLENGE / TRAIN
    (place / "._a.txt").write_bytes(b"\0")
    (place / "b.txt").mkdir()
    (place / "list.xlsx").touch()
    survey = found(tmp_path)
    assert [clip.id for clip in survey.accepted()] == ["a"]
    strays = kinds(survey)["no annotation files, among them"]
    assert [Path(text).name for text in strays] == ["b.txt", "list.xlsx"]


def test_empty_folders_hold_nothing_to_do(tmp_path: Path) -> None:
    layout(tmp_path, {TRAIN: [], VALIDATION: [], TEST: []})
    with pytest.raises(DataError, match="There is no video in"):
        affwild2.clips(tmp_path)


def test_a_folder_of_videos_has_no_labels_and_no_collisions(tmp_path: Path) -> None:
    (tmp_path / "Zoë's talk").mkdir()
    for name in ("b 10.mp4", "b 2.mp4", "Zoë's talk/b 2.mov", ".hidden.mp4", "notes.txt"):
        (tmp_path / name).touch()
    dataset = open_dataset(tmp_path, tmp_path / "cache", lambda _: None)
    assert [clip.id for clip in dataset.clips] == ["Zoë's talk__b 2", "b 2", "b 10"]
    assert {clip.split for clip in dataset.clips} == {"unsplit"}


def test_all_impossible_names_of_a_folder_are_listed(tmp_path: Path) -> None:
    for name in ("a\\b.mp4", "c\x07.mp4", b"\xfc.mp4".decode("utf-8", "surrogateescape"), "good.mp4"):
        (tmp_path / name).touch()
    with pytest.raises(DataError, match=r"3 names: .*can't name a clip.*can't name a clip.*can't name a clip"):
        open_dataset(tmp_path, tmp_path, lambda _: None)


def test_nothing_there_and_nothing_in_it_are_different_errors(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="There is nothing at"):
        open_dataset(tmp_path / "nowhere", tmp_path, lambda _: None)
    with pytest.raises(DataError, match="There is no video in"):
        open_dataset(tmp_path, tmp_path, lambda _: None)
