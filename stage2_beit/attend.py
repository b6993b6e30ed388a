"""The command ``attend``: which clips, is it done already, and one file of each clip's six paths.

python -m stage2_beit attend talk --run runs/demo
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from common.artefacts import load_trained, read_record, recipe_of
from common.errors import CacheError, UsageError
from common.files import remove_partials
from common.listening import LISTENING, Listening, read_listening, write_listening
from common.manifest import CachedClip, Manifest, read_manifest
from common.patterns import fitting
from common.recipe import Recipe, Stage2, fingerprint
from stage2_beit.export import FUSED, fused_key
from stage2_beit.train import MADE_BY
from stage2_beit.words import windows_with

#: Clips that are named where none was chosen.
_NAMED = 5

Say = Callable[[str], None]


def attend(
    fusion: Path,
    cache: Path,
    run: Path,
    device: str,
    say: Say,
    *,
    only: Sequence[str] = (),
    every: bool = False,
) -> list[Path]:
    """Write the attention of some clips of an exported run, those that are there already excepted.

    Parameters
    ----------
    fusion : Path
        Folder of the trained stage 2 that the run's refined features come from.
    cache, run : Path
        Where the features are; ``run/attention/<clip>.npz`` is written.
    only : names or patterns (``talk*``) of clips
    every : all clips of the run; then ``only`` is empty

    Returns
    -------
    list of Path
        The chosen clips' files, in the manifest's order.

    Raises
    ------
    UsageError
        If no clip is chosen, a name fits none, or the fusion isn't the six-path one.
    CacheError
        If the run's refined features aren't of this fusion and of its features as they are now.
    """
    manifest = read_manifest(run)
    clips = chosen(manifest.clips, only, every=every)
    record = read_record(fusion, made_by=MADE_BY)
    recipe = recipe_of(fusion, record, made_by=MADE_BY)
    if recipe.stage2.fusion.kind != "six-path":
        raise UsageError(
            f"{fusion} is a {recipe.stage2.fusion.kind} fusion: each row asks one key alone, whose weight is always 1. "
            "There is no attention to look at.",
            "Train a recipe with stage2.fusion.kind: six-path, as meld-dialogue has it.",
        )
    contents = _contents(clips, record, recipe, fusion, run)
    remove_partials(run / LISTENING)
    todo = [clip for clip in clips if not _is_done(run, clip.id, contents[clip.id], say)]
    if todo:
        from stage2_beit.build import model_class

        model = load_trained(model_class(recipe.stage2), fusion, device, made_by=MADE_BY)
        for clip, found in _listened(model, recipe.stage2, cache, manifest, todo, say):
            write_listening(run, clip.id, contents[clip.id], found)
            say(f"{clip.id}: {in_words(found)}")
        say(f"Stage 2: attention of {len(todo)} of {len(clips)} clips written to {run / LISTENING}")
    else:
        say(f"Stage 2: attention of all {len(clips)} clips is in {run / LISTENING}; nothing to do, no model loaded.")
    return [run / LISTENING / f"{clip.id}.npz" for clip in clips]


def chosen(clips: Sequence[CachedClip], only: Sequence[str], *, every: bool) -> list[CachedClip]:
    """The clips that are named, by name or pattern, or all of them.

    Raises
    ------
    UsageError
        If none is named, or a name or pattern fits no clip.
    """
    names = [clip.id for clip in clips]
    known = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
    if bool(only) == every:
        problem = "Clips are named, and all of them asked for as well." if every else "No clip is named."
        raise UsageError(problem, f"Name some, or give --all. There are: {known}.")
    wanted = set(names if every else fitting(names, only))
    return [clip for clip in clips if clip.id in wanted]


def in_words(listening: Listening) -> str:
    """The median strength of each path, the strongest first; of paths without any number nothing."""
    columns = [column[np.isfinite(column)] for column in listening.strength.T]
    medians = {name: float(np.median(one)) for name, one in zip(listening.paths, columns, strict=True) if len(one)}
    strongest = sorted(medians, key=lambda name: -medians[name])
    what = ", ".join(f"{name} {medians[name]:.2f}" for name in strongest)
    return f"added to the target's features, by their norm (median): {what}" if what else "no path adds anything"


def _listened(
    model: Any, settings: Stage2, cache: Path, manifest: Manifest, clips: Sequence[CachedClip], say: Say
) -> Iterator[tuple[CachedClip, Listening]]:
    """The six paths of each clip; at last, what must be said of the words that the model read."""
    from stage2_beit.listening import clip_listening

    subwords = model.subwords() if settings.finetune_text else None
    windows = windows_with(subwords)
    for clip in clips:
        yield (
            clip,
            clip_listening(model, windows(cache, manifest, [clip], settings.window, modalities=settings.modalities)),
        )
    for remark in subwords.remarks() if subwords else ():
        say(f"Note: {remark}")


def _contents(
    clips: Sequence[CachedClip], record: dict[str, Any], recipe: Recipe, fusion: Path, run: Path
) -> dict[str, str]:
    """The contents of the clips' refined features, which the run must have from this very fusion."""
    try:
        exported = {clip.id: clip.content for clip in read_manifest(run / FUSED).clips}
    except CacheError as error:
        raise CacheError(error.problem, f"Run `{MADE_BY}` with this RUN first.") from error
    key = fused_key(record, recipe, recipe.stage2.modalities)
    for clip in clips:
        if exported.get(clip.id) != fingerprint(key, clip.content):
            raise CacheError(
                f"The refined features of {clip.id} in {run / FUSED} aren't what {fusion} makes of the run's features.",
                "Name the --fusion that they were exported with, or export again: python -m stage2_beit export.",
            )
    return {clip.id: exported[clip.id] for clip in clips}


def _is_done(run: Path, clip: str, content: str, say: Say) -> bool:
    try:
        return read_listening(run, clip, content) is not None
    except CacheError as error:
        say(f"{clip}: computed again, as {error.problem}")
        return False
