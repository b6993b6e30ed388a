"""The epochs of a run's trainings, one row of figures each: of those that ended, and of those that were stopped."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from common.artefacts import MOST_EPOCHS, RECORD, read_record
from common.outside_text import json_of

#: Below a run's folder: one folder for each training that hasn't ended, ``<stage>-<fingerprint>``.
CHECKPOINTS: Final = "checkpoints"
#: Folder of a stage's model in a run, in the order of training, and what the stage is called.
STAGES: Final = {"fusion": "Stage 2", "head": "Stage 3"}

_STATE = "trainer_state.json"
_CHECKPOINT = re.compile(r"checkpoint-[0-9]{1,18}")

#: A row per epoch: ``epoch`` from 1, ``loss``, ``learning_rate``, ``grad_norm``, ``eval_...`` of the validation split.
History = list[dict[str, float]]


def by_epoch(log: Iterable[dict[str, float]]) -> History:
    """The Trainer's log as one row per epoch; what it says of the whole training is left out."""
    rows: dict[int, dict[str, float]] = {}
    for entry in log:
        if _of_an_epoch(entry):
            rows.setdefault(round(entry["epoch"]), {}).update(entry)
    return [{**row, "epoch": epoch} for epoch, row in sorted(rows.items())]


def checkpoints_of(folder: Path) -> list[Path]:
    """The checkpoints of one training, the newest first; the first may be half-written."""
    steps = {path: _CHECKPOINT.fullmatch(path.name) for path in folder.glob("checkpoint-*")}
    return sorted((path for path, step in steps.items() if step), key=lambda path: int(path.name[11:]), reverse=True)


def read_state(checkpoint: Path) -> dict[str, Any] | None:
    """The Trainer's state in a checkpoint; None where it isn't whole, as the state is written last."""
    try:
        state = json_of((checkpoint / _STATE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    log = state.get("log_history", []) if isinstance(state, dict) else None
    whole = isinstance(log, list) and _is_epoch(state.get("epoch") or 0) and all(map(_is_entry, log))
    return state if whole else None


def _is_entry(entry: Any) -> bool:
    """Is it figures, of an epoch where they are of one?"""
    if not isinstance(entry, dict) or not all(value is None or _is_number(value) for value in entry.values()):
        return False
    return _is_epoch(entry.get("epoch")) if _of_an_epoch(entry) else True


def _is_epoch(value: Any) -> bool:
    return _is_number(value) and 0 <= value < MOST_EPOCHS


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _of_an_epoch(entry: Mapping[str, Any]) -> bool:
    return "loss" in entry or any(key.startswith("eval_") for key in entry)


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
