"""Are the refined features of a run those of its features and its fusion as they are now?"""

from __future__ import annotations

from pathlib import Path

from common.artefacts import RECORD, read_record
from common.errors import CacheError
from common.manifest import MANIFEST, made_of, read_manifest
from stage3_mlp.train import FUSED

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
