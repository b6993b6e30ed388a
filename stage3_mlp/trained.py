"""A trained run: are its head, its refined features, its fusion and its features of one state?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from common.artefacts import RECORD, read_record, recipe_of
from common.errors import CacheError
from common.manifest import MANIFEST, Manifest, made_of, read_manifest
from common.recipe import Recipe
from common.splits import check_splits
from stage3_mlp.train import FUSED, HEAD, MADE_BY, head_fingerprint

#: Stage 2's model in a run's folder.
FUSION = "fusion"


def check_exported(run: Path) -> None:
    """Refuse refined features that were exported before stage 1 or stage 2 was done anew.

    Accepted is what can't be told: an export of an earlier version, or of features or a fusion that lie elsewhere.

    Raises
    ------
    CacheError
        If they are of an earlier state of the run; or a manifest or the fusion's record can't be read.
    """
    noted = read_manifest(run / FUSED).made_of
    if not noted or not (run / MANIFEST).is_file() or not (run / FUSION / RECORD).is_file():
        return
    record = read_record(run / FUSION, made_by="make train-beit")
    if noted != made_of(read_manifest(run), str(record.get("weights_sha256"))):
        raise CacheError(
            f"The refined features in {run / FUSED} are of an earlier state of the run: "
            "stage 1 or stage 2 was done anew since.",
            "Run `make train-beit` with this RUN: it exports them anew; `make test` does all that comes after, too.",
        )


def trained_run(run: Path) -> tuple[dict[str, Any], Recipe, Manifest]:
    """The record of a run's head, its recipe, and the manifest of the refined features that it was trained on.

    Raises
    ------
    CacheError
        If there is no head, its record is another version's, or it was trained on other clips, labels, splits or
        features than the run has now: what is scored may have been trained on.
    DataError
        If one video is in two splits.
    """
    record = read_record(run / HEAD, made_by=MADE_BY)
    check_exported(run)
    manifest = read_manifest(run / FUSED)
    check_splits(manifest)
    recipe = recipe_of(run / HEAD, record, made_by=MADE_BY)
    if head_fingerprint(recipe, manifest) != record.get("fingerprint"):
        raise CacheError(
            f"The head in {run / HEAD} was trained on other clips, labels, splits or features than {manifest.data} has "
            "now: what is scored may have been trained on.",
            f"Run `{MADE_BY}` with this RUN again.",
        )
    return record, recipe, manifest
