"""A trained run without some of its modalities: what a broken microphone, or a hidden face, does to its score."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from common.artefacts import read_record, recipe_of
from common.manifest import read_manifest, write_manifest
from stage2_beit.export import export
from stage2_beit.train import FUSION
from stage3_mlp.outcome import outcome_of
from stage3_mlp.report.studied import MISSING
from stage3_mlp.tables import in_lines, write_study
from stage3_mlp.test import predict_clips, scored_clips
from stage3_mlp.train import FUSED, HEAD, MADE_BY
from studies.ablate import subsets
from studies.chain import Places, notes


def study_missing(places: Places) -> list[dict[str, Any]]:
    """Score a trained run with each subset of its modalities there at test time; no training.

    Writes ``run/missing/missing.csv`` and ``.json``. The first row is the run as it was scored.

    Raises
    ------
    CacheError
        If the run isn't trained.
    """
    run, folder = places.run, places.run / MISSING
    record = read_record(run / HEAD, made_by=MADE_BY)
    modalities = recipe_of(run / HEAD, record, made_by=MADE_BY).stage2.modalities
    manifest = read_manifest(run)
    split, clips, _ = scored_clips(read_manifest(run / FUSED))
    names = {clip.id for clip in clips}
    outcome = outcome_of(manifest.classes)
    kept = tuple(clip for clip in manifest.clips if clip.id in names)
    write_manifest(folder, replace(manifest, clips=kept))
    places.say(f"Missing modalities: {run}, {split} split, {len(names)} clips")
    rows: list[dict[str, Any]] = []
    for there in reversed(subsets(modalities)):
        without = [modality for modality in modalities if modality not in there]
        fused = export(run / FUSION, places.cache, folder, places.device, places.detail, without=without)
        predictions = predict_clips(run / HEAD, places.cache, fused, fused.clips, places.device)
        found = outcome.measured(predictions, record)
        low, high = outcome.interval(found)
        rows.append(
            {
                "there": " + ".join(there),
                "withheld": " + ".join(without) or "nothing",
                **outcome.row(found),
                "low": low,
                "high": high,
            }
        )
    path = write_study(folder, MISSING, rows, **notes(manifest, places), split=split, recipe=record["recipe"])
    for line in in_lines(rows):
        places.say(line)
    places.say(f"low, high: 95 % over clips. Table: {path}")
    return rows
