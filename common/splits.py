"""What no model may be trained on: a video in two splits; labels of another kind than the recipe's."""

from __future__ import annotations

from common.errors import DataError
from common.manifest import CachedClip, Manifest


def check_splits(manifest: Manifest) -> None:
    """Refuse clips of one video in two splits, under whatever names: what is scored would have been seen.

    Raises
    ------
    DataError
        Naming the first two clips, their splits, and how many more there are. A manifest of the published protocol
        passes: there it is done on purpose, and every output says so.
    """
    if manifest.protocol == "published":
        return
    seen: dict[str, CachedClip] = {}
    shared: list[tuple[CachedClip, CachedClip]] = []
    for clip in manifest.clips:
        if clip.video and clip.split != "unsplit":
            other = seen.setdefault(clip.video, clip)
            if other.split != clip.split:
                shared.append((other, clip))
    if shared:
        what = "video" if manifest.rows == "frames" else "dialogue"
        one, two = shared[0]
        more = f", and {len(shared) - 1} more such pairs" if len(shared) > 1 else ""
        raise DataError(
            f"{one.id} ({one.split}) and {two.id} ({two.split}) are the same {what}{more}: "
            "a score on what was trained or selected on is no score.",
            f"Keep each {what} in one split.",
        )


def check_labels(manifest: Manifest, *, categorical: bool) -> None:
    """Refuse to train a recipe of emotion classes on valence and arousal, or the other way round; or on one class.

    Without any label there is nothing to compare.

    Raises
    ------
    DataError
    """
    if categorical and len(manifest.classes) == 1:
        raise DataError(
            f"Every label of {manifest.data} is {manifest.classes[0]!r}: there is nothing to tell apart.",
            "Give it rows of two classes or more.",
        )
    if bool(manifest.classes) != categorical and any(clip.labelled for clip in manifest.clips):
        wants, has = ("emotion classes", "valence and arousal")[:: 1 if categorical else -1]
        raise DataError(
            f"The recipe is about {wants}, by its stage2.training.loss; {manifest.data} is labelled with {has}.",
            "Take a recipe made for such labels: meld or iemocap for classes, maven or strong for valence and arousal.",
        )
