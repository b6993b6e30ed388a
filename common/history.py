"""The epochs of a run's trainings, one row of figures each: of those that ended, and of those that were stopped."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from common.artefacts import RECORD, read_record

#: Below a run's folder: one folder for each training that hasn't ended, ``<stage>-<fingerprint>``.
CHECKPOINTS: Final = "checkpoints"
#: Folder of a stage's model in a run, in the order of training, and what the stage is called.
STAGES: Final = {"fusion": "Stage 2", "head": "Stage 3"}

_STATE = "trainer_state.json"

#: A row per epoch: ``epoch`` from 1, ``loss``, ``learning_rate``, ``grad_norm``, ``eval_...`` of the validation split.
History = list[dict[str, float]]


def by_epoch(log: Iterable[dict[str, float]]) -> History:
    """The Trainer's log as one row per epoch; what it says of the whole training is left out."""
    rows: dict[int, dict[str, float]] = {}
    for entry in log:
        if "loss" in entry or any(key.startswith("eval_") for key in entry):
            rows.setdefault(round(entry["epoch"]), {}).update(entry)
    return [{**row, "epoch": epoch} for epoch, row in sorted(rows.items())]


def checkpoints_of(folder: Path) -> list[Path]:
    """The checkpoints of one training, the newest first; the first may be half-written."""
    numbered = {path: path.name.rpartition("-")[2] for path in folder.glob("checkpoint-*") if path.is_dir()}
    found = [path for path, number in numbered.items() if number.isascii() and number.isdecimal()]
    return sorted(found, key=lambda path: int(numbered[path]), reverse=True)


def read_state(checkpoint: Path) -> dict[str, Any] | None:
    """The Trainer's state in a checkpoint; None where it isn't whole, as the state is written last."""
    try:
        state = json.loads((checkpoint / _STATE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return state if isinstance(state, dict) else None


def history_so_far(run: Path) -> dict[str, History]:
    """The epochs of a run's trainings by stage, ``Stage 2`` before ``Stage 3``; nothing in the run is changed.

    Of a training that ended they come from its record; of one that was stopped, or is going on, from its last whole
    checkpoint. A stage with neither is left out. So is a head whose fusion is being trained again: it belongs to
    the fusion before.

    Raises
    ------
    CacheError
        If a record can't be read.
    """
    found: dict[str, History] = {}
    for stage, title in STAGES.items():
        recorded = (run / stage / RECORD).is_file()
        record = read_record(run / stage, made_by="make test") if recorded else {}
        state = unfinished(run, stage, record.get("fingerprint"))
        history = by_epoch(state.get("log_history", [])) if state is not None else record.get("history", [])
        if history:
            found[title] = history
        if state is not None:
            break
    return found


def unfinished(run: Path, stage: str, ended: str | None) -> dict[str, Any] | None:
    """The Trainer's state in the checkpoint written last, of a stage's trainings that didn't end; None without one.

    A training that ends removes the checkpoints of its stage. Should it be killed before that, those with the
    fingerprint of the record are its own.

    Parameters
    ----------
    stage : one of `STAGES`
    ended : fingerprint in the record of the training that ended, if one did
    """
    states: list[tuple[float, dict[str, Any]]] = []
    for training in (run / CHECKPOINTS).glob(f"{stage}-*"):
        if training.name == f"{stage}-{ended}":
            continue
        for checkpoint in checkpoints_of(training):
            state = read_state(checkpoint)
            if state is not None:
                states.append(((checkpoint / _STATE).stat().st_mtime, state))
                break
    return max(states, key=lambda found: found[0])[1] if states else None
