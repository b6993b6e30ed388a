"""Train the fusion on windows of cached features, with a light temporary head."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from common.alone import alone
from common.artefacts import is_current, remove_checkpoints, save_model
from common.errors import DataError
from common.history import CHECKPOINTS
from common.labels import balanced_draws, class_counts, class_remarks
from common.manifest import CachedClip, Manifest, read_manifest
from common.processes import first, from_first
from common.recipe import Recipe, fingerprint
from common.schema import Split
from common.splits import check_labels, check_splits
from common.versions import FUSION_CODE_VERSION
from common.windows import FeatureWindows
from stage2_beit.pretrained import pretrained_beit
from stage2_beit.words import collate, initial_encoder, windows_with

if TYPE_CHECKING:
    from stage2_beit.finetune import Trainable

FUSION = "fusion"
MADE_BY = "make train-beit"

Say = Callable[[str], None]


def train(recipe: Recipe, cache: Path, run: Path, device: str, say: Say) -> Path:
    """Train stage 2 for a run, unless the model of these settings and clips is there already.

    Returns
    -------
    Path
        ``run/fusion``: safetensors, configuration, ``record.json`` with the history.

    Raises
    ------
    DataError
        If there is no labelled training or validation clip; or the text encoder is to be trained, and rows are frames.
    """
    with alone(run / FUSION, say):
        return _train(recipe, cache, run, device, say)


def _train(recipe: Recipe, cache: Path, run: Path, device: str, say: Say) -> Path:
    manifest = read_manifest(run)
    check_labels(manifest, categorical=recipe.categorical)
    check_splits(manifest)
    key = training_fingerprint(recipe, manifest)
    folder = run / FUSION
    if from_first(lambda: is_current(folder, key, say)):
        say(f"Stage 2: {folder} is trained with these settings on these clips; nothing to do, no model loaded.")
        if first():
            remove_checkpoints(run / CHECKPOINTS, FUSION)
        return folder
    splits: tuple[Split, ...] = ("train", "validation")
    clips = {split: labelled_clips(manifest, split) for split in splits}
    text = _text_encoder(recipe, manifest, cache)
    windows = windows_with(text.subwords if text else None)
    data = {
        split: windows(
            cache,
            manifest,
            clips[split],
            recipe.stage2.window,
            modalities=recipe.stage2.modalities,
            once=split == "validation",
            labelled_only=True,
        )
        for split in clips
    }
    for split in splits:
        data[split].check()
    say(
        f"Stage 2: training on {len(clips['train'])} clips ({len(data['train'])} windows of "
        f"{recipe.stage2.window.frames} frames), selecting on {len(clips['validation'])}"
    )
    checkpoints = run / CHECKPOINTS / f"{FUSION}-{key}"
    counts = _counts(manifest, data["train"])
    remarks = class_remarks(recipe.stage2.training, counts, manifest.classes, "stage2")
    if text is not None:
        say(f"Stage 2: training {text.in_words()}")
        remarks += text.subwords.remarks()
    for remark in remarks:
        say(f"Note: {remark}")
    fitted = _fit(recipe, manifest, data, counts, text, run, checkpoints, device, say)
    if first():
        record = {**_record(recipe, manifest, key, fitted), "remarks": [*manifest.remarks, *remarks]}
        save_model(folder, fitted.model, {**record, "counts": counts.tolist()})
        remove_checkpoints(checkpoints.parent, FUSION)
    say(f"Stage 2: {fitted.in_words()}; {folder}")
    return folder


def training_fingerprint(recipe: Recipe, manifest: Manifest) -> str:
    """Over the settings, the seed, and the labelled clips of the training and validation splits."""
    clips = [(c.id, c.split, c.content) for c in manifest.of("train", "validation") if c.labelled]
    found = pretrained_beit(recipe.stage2.fusion)
    beit = found.identity if found else None
    return fingerprint(
        "fusion", FUSION_CODE_VERSION, recipe.stage2.shaping(), beit, recipe.seed, manifest.classes, clips
    )


def labelled_clips(manifest: Manifest, split: Split) -> list[CachedClip]:
    """The labelled clips of a split, or a DataError that says what is missing."""
    clips = [clip for clip in manifest.of(split) if clip.labelled]
    if not clips:
        raise DataError(
            f"{manifest.data} has no labelled clip in its {split} split.",
            "Training needs train and validation labels; `make predict VIDEO=` needs none, only a trained RUN.",
        )
    return clips


def _text_encoder(recipe: Recipe, manifest: Manifest, cache: Path) -> Trainable | None:
    """The text encoder that is to be trained too, if one is; errors as in `initial_encoder` and `load_trainable`."""
    if not recipe.stage2.finetune_text:
        return None
    found = initial_encoder(recipe.stage1.text, manifest, cache)
    from stage2_beit.finetune import load_trainable

    return load_trainable(found)


def _counts(manifest: Manifest, data: FeatureWindows) -> npt.NDArray[np.int64]:
    """(K,) rows of each class in training, each counted once; K is 0 for valence and arousal."""
    return class_counts(data.clip_labels() if manifest.classes else [], len(manifest.classes))


def _fit(
    recipe: Recipe,
    manifest: Manifest,
    data: dict[Split, FeatureWindows],
    counts: npt.NDArray[np.int64],
    text: Trainable | None,
    run: Path,
    checkpoints: Path,
    device: str,
    say: Say,
) -> Any:
    import transformers

    from common.training import Shown, fit
    from stage2_beit.build import build_model

    transformers.set_seed(recipe.seed)
    train_data = data["train"]
    model = build_model(recipe.stage2, manifest, train_data, counts, text)
    draws = None
    if recipe.stage2.training.sampling == "balanced":
        draws = balanced_draws([train_data.labels(index) for index in range(len(train_data))], counts)
    return fit(
        model,
        train_data,
        data["validation"],
        recipe.stage2.training,
        collate=collate,
        checkpoints=checkpoints,
        seed=recipe.seed,
        device=device,
        say=say,
        ignore=("refined", "attentions"),
        draws=draws,
        shown=Shown(run, FUSION, recipe.model_dump(mode="json")),
    )


def _record(recipe: Recipe, manifest: Manifest, key: str, fitted: Any) -> dict[str, Any]:
    return {
        "stage": 2,
        "fingerprint": key,
        "recipe": recipe.model_dump(mode="json"),
        "seed": recipe.seed,
        "data": manifest.data,
        "features": manifest.fingerprints,
        "encoders": manifest.encoders,
        "rows": manifest.rows,
        "classes": manifest.classes,
        "clips": {split: [c.id for c in manifest.of(split) if c.labelled] for split in ("train", "validation")},
        "best": fitted.best,
        "history": fitted.history,
    }
