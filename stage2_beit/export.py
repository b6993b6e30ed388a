"""Run the trained fusion over every clip and write F_refined (eq. 25) to ``cache/fused``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from common import processes
from common.alone import alone
from common.artefacts import load_trained, read_record, recipe_of
from common.errors import CacheError
from common.files import remove_partials
from common.manifest import CachedClip, Manifest, made_of, read_manifest, write_manifest
from common.recipe import Recipe, fingerprint
from common.rows import Array
from common.schema import AROUSAL, EMOTION, MODALITIES, REFINED, REFINED_DTYPE, TIME, VALENCE, Modality, present
from common.store import read_summary, read_texts, write_clip
from common.versions import EXPORT_CODE_VERSION
from common.windows import CachedArrays, FeatureWindows
from stage2_beit.train import MADE_BY
from stage2_beit.words import collate, windows_with

FUSED = "fused"


def export(
    fusion: Path,
    cache: Path,
    run: Path,
    device: str,
    say: Callable[[str], None],
    *,
    without: Sequence[Modality] = (),
) -> Manifest:
    """Export F_refined for all clips of a run, those that are there already excepted.

    Several processes share the clips; the first writes the manifest when all are done.

    Windows overlap as in training; where they do, their F_refined is averaged. Every frame gets exactly one row.

    Parameters
    ----------
    fusion : Path
        Folder of a trained stage 2, of this run or of another.
    cache, run : Path
        Where the features are; ``run/fused/manifest.json`` is written.
    without : modalities
        Withheld as if no frame had them; the model is asked how it does without.

    Raises
    ------
    CacheError
        If the features were made by other encoders than the fusion was trained on.
    """
    with alone(run / FUSED, say):
        return _export(fusion, cache, run, device, say, without)


def _export(
    fusion: Path, cache: Path, run: Path, device: str, say: Callable[[str], None], without: Sequence[Modality]
) -> Manifest:
    manifest = read_manifest(run)
    record = read_record(fusion, made_by=MADE_BY)
    recipe = recipe_of(fusion, record, made_by=MADE_BY)
    remarks = _check_encoders(record, manifest, fusion)
    window = recipe.stage2.window
    modalities = [modality for modality in recipe.stage2.modalities if modality not in without]
    key = fused_key(record, recipe, modalities)
    folder = cache / FUSED / key
    remove_partials(folder)
    exported = [replace(clip, content=fingerprint(key, clip.content)) for clip in manifest.clips]
    pairs = list(zip(manifest.clips, exported, strict=True))
    todo = processes.from_first(lambda: [pair for pair in pairs if not _is_done(folder, pair[1], say)])
    subwords: Any = None
    if mine := todo[processes.index() :: processes.count()]:
        from stage2_beit.build import model_class

        model = load_trained(model_class(recipe.stage2), fusion, device, made_by=MADE_BY)
        batch = recipe.stage2.training.batch_size
        subwords = model.subwords() if recipe.stage2.finetune_text else None
        windows = windows_with(subwords)
        for clip, fused in mine:
            data = windows(cache, manifest, [clip], window, modalities=modalities)
            _write(folder, fused, data, refine(model, data, batch), key, said=manifest.rows == "utterances")
    read = processes.from_all((subwords.texts, subwords.cut) if subwords else (0, 0))  # and all clips are written
    if subwords:
        subwords.texts, subwords.cut = (sum(numbers) for numbers in zip(*read, strict=True))
        for remark in subwords.remarks():
            say(f"Note: {remark}")
    result = replace(
        manifest,
        folder=folder.relative_to(cache).as_posix(),
        clips=tuple(exported),
        made_of=made_of(manifest, record["weights_sha256"]),
        remarks=tuple(dict.fromkeys((*manifest.remarks, *record["remarks"], *remarks))),
    )
    if processes.first():
        write_manifest(run / FUSED, result)
    if todo:
        say(f"Stage 2: exported {len(todo)} of {len(exported)} clips to {folder}")
    else:
        say(f"Stage 2: all {len(exported)} clips are exported to {folder}; nothing to do, no model loaded.")
    return result


def fused_key(record: dict[str, Any], recipe: Recipe, modalities: Sequence[Modality]) -> str:
    """A fingerprint of what makes refined features of features: a trained fusion, its windows, what it may see."""
    window = recipe.stage2.window.shaping()
    return fingerprint("fused", EXPORT_CODE_VERSION, record["weights_sha256"], window, list(modalities))


def refine(model: Any, data: FeatureWindows, batch: int) -> Array:
    """F_refined of the single clip in ``data``: (T, d_beit) float32, averaged where windows overlap."""
    frames = data.clips[0].frames
    total: Array | None = None
    count = np.zeros(frames, dtype=np.int64)
    for items, refined in _refined(model, data, batch):
        if total is None:
            total = np.zeros((frames, refined.shape[-1]), dtype=np.float64)
        for row, index in enumerate(items):
            place = data.places[index]
            total[place.start : place.start + place.frames] += refined[row, : place.frames]
            count[place.start : place.start + place.frames] += 1
    assert total is not None, "a clip has at least one window"
    return (total / count[:, None]).astype(REFINED_DTYPE)


def _refined(model: Any, data: FeatureWindows, batch: int) -> Iterator[tuple[range, Array]]:
    """Numbers of windows and their F_refined, (B, T, d_beit) float32.

    A result is fetched when the next batch is under way: reading goes on while a GPU computes.
    """
    import torch

    from stage2_beit.inputs import placed

    under_way: tuple[range, Any] | None = None
    for start in range(0, len(data), batch):
        items = range(start, min(start + batch, len(data)))
        inputs = collate([data[index] for index in items])
        del inputs["labels"]
        with torch.inference_mode():
            begun = items, model(**placed(inputs, model.device)).refined
        if under_way is not None:
            yield under_way[0], _fetched(under_way[1])
        under_way = begun
    if under_way is not None:
        yield under_way[0], _fetched(under_way[1])


def _fetched(values: Any) -> Array:
    """A tensor as float32 in this program's memory, once the device has it."""
    array: Array = values.float().cpu().numpy()
    return array


def _check_encoders(record: dict[str, Any], manifest: Manifest, fusion: Path) -> list[str]:
    """Refuse other encoders and other rows; other front-end settings are allowed, and said in every later output."""
    rows = record.get("rows", "frames")  # an earlier version knew no others
    if rows != manifest.rows:
        raise CacheError(
            f"{fusion} was trained on {rows}; the rows of {manifest.data} are {manifest.rows}.",
            "Give it data of its own kind: videos where it learnt from frames, a table of utterances otherwise.",
        )
    remarks = []
    for encoders, place in ((record["encoders"], fusion), (manifest.encoders, manifest.data)):
        if not all({"model", "identity"} <= encoders.get(modality, {}).keys() for modality in MODALITIES):
            raise CacheError(f"{place} doesn't say by which encoders its features were made.", "Make it again.")
    for modality in MODALITIES:
        trained, given = record["encoders"][modality], manifest.encoders[modality]
        if trained["identity"] != given["identity"]:
            raise CacheError(
                f"{fusion} was trained on {modality} features of {trained['model']} ({trained['identity'][:23]}), "
                f"these were made by {given['model']} ({given['identity'][:23]}).",
                "Run stage 1 with the recipe of that run, or train stage 2 on these features.",
            )
        if record["features"].get(modality) != manifest.fingerprints.get(modality):
            remarks.append(f"The {modality} features were made with other settings than those trained on.")
    return remarks


def _is_done(folder: Path, clip: CachedClip, say: Callable[[str], None]) -> bool:
    path = folder / f"{clip.id}.h5"
    if not path.exists():
        return False
    try:
        return bool(read_summary(path)[0].get("content") == clip.content)
    except CacheError as error:
        say(f"{clip.id}: exported again, as {error.problem}")
        return False


def _write(folder: Path, clip: CachedClip, data: FeatureWindows, refined: Array, key: str, *, said: bool) -> None:
    source: CachedArrays = data.arrays[0]
    arrays: dict[str, Array | list[str]] = {TIME: source[TIME], REFINED: refined}
    kept: list[str] = [present(modality) for modality in MODALITIES]
    arrays |= {name: source[name] for name in (*kept, VALENCE, AROUSAL, EMOTION) if name in source}
    if said:
        arrays |= read_texts(source.path)  # a table of predicted classes says of which words
    attributes = {"clip": clip.id, "content": clip.content, "fusion": key, "split": clip.split}
    write_clip(folder / f"{clip.id}.h5", arrays, attributes)
