"""Folds: every clip selects once, what is of one video stays together, and the ensemble is the mean."""

import numpy as np
import pytest

from common.errors import DataError
from common.manifest import CachedClip, Manifest
from stage3_mlp.dimensions import Dimensions
from stage3_mlp.emotions.outcome import Emotions
from studies.folds import fold_manifest, fold_of
from tests.stage3.emotional import CLASSES, emotional
from tests.stage3.predicted import noisy


def clips(number: int = 20) -> list[CachedClip]:
    return [
        CachedClip(f"c{i}", "train" if i % 4 else "validation", f"v{i}.mp4", 50 + 7 * i, True, "x", f"v{i}")
        for i in range(number)
    ]


def test_every_clip_is_in_one_fold_and_the_folds_are_of_a_size() -> None:
    dealt = fold_of(clips(), 4)
    assert dealt == fold_of(clips()[::-1], 4) and len(dealt) == 20
    frames = [sum(clip.frames for clip in clips() if dealt[clip.id] == fold) for fold in range(4)]
    assert max(frames) < 1.2 * min(frames)


def test_two_people_of_one_video_stay_together() -> None:
    pairs = [
        CachedClip(f"v{i}_{side}", "train", f"v{i}.mp4", 100, True, "x", f"v{i}{side}")
        for i in range(6)
        for side in ("left", "right")
    ]
    dealt = fold_of(pairs, 3)
    assert all(dealt[f"v{i}_left"] == dealt[f"v{i}_right"] for i in range(6))


def test_sentences_of_one_table_are_dealt_one_by_one() -> None:
    dealt = fold_of([CachedClip(f"s{i}", "train", "table.csv", 1, True, "x") for i in range(9)], 3, rows="utterances")
    assert sorted(dealt.values()) == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_more_folds_than_videos_are_refused() -> None:
    with pytest.raises(DataError, match="3 labelled videos can't be dealt over 4 folds"):
        fold_of(clips(3), 4)


def test_a_fold_selects_the_others_train_and_test_stays_as_it_is() -> None:
    test = CachedClip("t", "test", "t.mp4", 10, True, "x")
    manifest = Manifest("d", "folder", "f", {}, {}, (*clips(8), test))
    dealt = fold_of(clips(8), 2)
    one, other = (fold_manifest(manifest, dealt, fold) for fold in range(2))
    assert {clip.id for clip in one.of("validation")} == {clip.id for clip in other.of("train")}
    assert {clip.id for clip in one.of("train")} == {clip.id for clip in other.of("validation")}
    assert [clip.id for clip in one.of("test")] == ["t"]


def test_the_ensemble_is_the_mean_of_points_not_of_angles() -> None:
    members = [noisy("c", seed=0, noise=noise) for noise in (0.1, 0.5)]
    found = Dimensions().ensemble(members)
    assert found.values == pytest.approx((members[0].values + members[1].values) / 2, abs=1e-6)
    np.testing.assert_allclose(found.intensity * np.cos(found.theta), found.values[:, 0], atol=1e-6)


def test_the_ensemble_of_classes_is_the_mean_of_probabilities() -> None:
    members = [emotional("c", seed=seed) for seed in (0, 1)]
    found = Emotions(CLASSES).ensemble(members)
    np.testing.assert_allclose(
        found.probabilities, (members[0].probabilities + members[1].probabilities) / 2, atol=1e-6
    )
    assert found.labels is members[0].labels
