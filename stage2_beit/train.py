"""Train the fusion on windows of cached features, with a light temporary head on valence and arousal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from common.artefacts import is_current, remove_checkpoints, save_model
from common.errors import DataError
from common.manifest import CachedClip, Manifest, check_splits, read_manifest
from common.models import fetch, find
from common.recipe import Recipe, Stage2, fingerprint
from common.schema import MODALITIES, Split
from common.windows import FeatureWindows, collate, feature_statistics

FUSION = "fusion"
MADE_BY = "make train-beit"
BEIT_KEY = "stage2.fusion.beit_model"

#: Raise when the same settings would train another model.
CODE_VERSION = 1

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
        If there is no labelled training or validation clip.
    """
    manifest = read_manifest(run)
    check_splits(manifest)
    key = training_fingerprint(recipe, manifest)
    folder = run / FUSION
    if is_current(folder, key):
        say(f"Stage 2: {folder} is trained with these settings on these clips; nothing to do, no model loaded.")
        return folder
    clips = {split: labelled_clips(manifest, split) for split in ("train", "validation")}
    data = {
        split: FeatureWindows(
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
    say(
        f"Stage 2: training on {len(clips['train'])} clips ({len(data['train'])} windows of "
        f"{recipe.stage2.window.frames} frames), selecting on {len(clips['validation'])}"
    )
    checkpoints = run / "checkpoints" / f"{FUSION}-{key}"
    fitted = _fit(recipe, data["train"], data["validation"], checkpoints, device, say)
    save_model(folder, fitted.model, _record(recipe, manifest, key, fitted))
    remove_checkpoints(checkpoints.parent, FUSION)
    say(f"Stage 2: best validation CCC {fitted.best['eval_ccc_mean']:.4f} at epoch {fitted.best['epoch']}; {folder}")
    return folder


def training_fingerprint(recipe: Recipe, manifest: Manifest) -> str:
    """Over the settings, the seed, and the labelled clips of the training and validation splits."""
    clips = [(c.id, c.split, c.content) for c in manifest.of("train", "validation") if c.labelled]
    fusion = recipe.stage2.fusion
    beit = find(fusion.beit_model, fusion.beit_revision, BEIT_KEY).identity if fusion.beit_model else None
    return fingerprint("fusion", CODE_VERSION, recipe.stage2.shaping(), beit, recipe.seed, clips)


def labelled_clips(manifest: Manifest, split: Split) -> list[CachedClip]:
    """The labelled clips of a split, or a DataError that says what is missing."""
    clips = [clip for clip in manifest.of(split) if clip.labelled]
    if not clips:
        raise DataError(
            f"{manifest.data} has no labelled clip in its {split} split.",
            "Training needs train and validation labels; `make predict VIDEO=` needs none, only a trained RUN.",
        )
    return clips


def _fit(
    recipe: Recipe, train_data: FeatureWindows, validation: FeatureWindows, checkpoints: Path, device: str, say: Say
) -> Any:
    import transformers

    from common.training import fit

    transformers.set_seed(recipe.seed)
    model = build_model(recipe.stage2, train_data)
    return fit(
        model,
        train_data,
        validation,
        recipe.stage2.training,
        collate=collate,
        checkpoints=checkpoints,
        seed=recipe.seed,
        device=device,
        say=say,
        ignore=("refined", "attentions"),
    )


def build_model(settings: Stage2, data: FeatureWindows) -> Any:
    """An untrained fusion model for the widths of ``data``, standardised by its statistics."""
    from stage2_beit.config import FusionConfig
    from stage2_beit.model import FusionModel

    widths = {modality: data.arrays[0][modality].shape[1] for modality in MODALITIES}
    fusion = settings.fusion
    config = FusionConfig(
        **{f"{modality}_dim": width for modality, width in widths.items()},
        **fusion.model_dump(exclude={"beit_model", "beit_revision", "standardise"}),
        loss=settings.training.loss,
        ccc_weight=settings.training.ccc_weight,
    )
    model = FusionModel(config)
    if fusion.beit_model is not None:
        from stage2_beit.beit import load_beit_layers

        layers = load_beit_layers(fetch(find(fusion.beit_model, fusion.beit_revision, BEIT_KEY)), fusion.beit_layers)
        model.use_pretrained_layers(layers)
    if fusion.standardise:
        model.set_statistics({modality: feature_statistics(data, modality) for modality in MODALITIES})
    return model


def _record(recipe: Recipe, manifest: Manifest, key: str, fitted: Any) -> dict[str, Any]:
    return {
        "stage": 2,
        "fingerprint": key,
        "recipe": recipe.model_dump(mode="json"),
        "seed": recipe.seed,
        "data": manifest.data,
        "features": manifest.fingerprints,
        "encoders": manifest.encoders,
        "remarks": manifest.remarks,
        "clips": {split: [c.id for c in manifest.of(split) if c.labelled] for split in ("train", "validation")},
        "best": fitted.best,
        "history": fitted.history,
    }
