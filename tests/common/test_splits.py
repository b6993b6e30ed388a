"""One video in two splits is refused."""

import pytest

from common.errors import DataError
from common.manifest import CachedClip, Manifest
from common.splits import check_splits


def manifest(*clips: tuple[str, str, str]) -> Manifest:
    made = tuple(CachedClip(name, split, name, 10, True, "c", video) for name, split, video in clips)  # type: ignore[arg-type]
    return Manifest("d", "folder", "f", {}, {}, made)


def test_the_same_video_under_two_names_is_named() -> None:
    with pytest.raises(DataError, match=r"a \(train\) and b \(test\) are the same video.*no score"):
        check_splits(manifest(("a", "train", "v"), ("b", "test", "v")))
    with pytest.raises(DataError, match="and 1 more such pairs"):
        check_splits(manifest(("a", "train", "v"), ("b", "validation", "v"), ("c", "test", "v")))


def test_what_is_no_leak_passes() -> None:
    check_splits(manifest(("a", "train", "v"), ("b", "train", "v"), ("c", "test", "w")))
    check_splits(manifest(("a", "train", ""), ("b", "test", ""), ("c", "unsplit", "v"), ("d", "train", "v")))
