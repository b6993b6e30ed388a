"""Checkpoints with checksums: a training goes on from one that is whole, to the bit, or from an earlier one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from common.errors import CacheError
from common.files import sha256
from common.history import checkpoints_of, read_state
from common.sealed import read_sealed, write_sealed

_SUMS = "checksums.json"


class Seal(TrainerCallback):
    """Notes the checksum of each file of a checkpoint, once it is written."""

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        if state.is_world_process_zero and folder.is_dir():
            files = sorted(path for path in folder.rglob("*") if path.is_file())
            for path in files:
                with path.open("rb") as file:
                    os.fsync(file.fileno())
            write_sealed(folder / _SUMS, {path.relative_to(folder).as_posix(): sha256(path) for path in files})


def last_checkpoint(folder: Path, say: Callable[[str], None] = lambda text: None) -> Path | None:
    """The newest checkpoint in ``folder`` that is whole, as is the best one that it refers to; others are removed.

    Damage is said; that a kill left a half behind isn't worth a word.
    """
    for path in checkpoints_of(folder):
        state = read_state(path)
        if state is None:
            shutil.rmtree(path)
            continue
        best = state.get("best_model_checkpoint")
        damage = _damage(path) or (_damage(folder / Path(best).name) if best else "")
        if not damage:
            return path
        say(f"  {damage} The training goes on from an earlier one, or begins again.")
        shutil.rmtree(path)
    return None


def _damage(checkpoint: Path) -> str:
    """What of a checkpoint isn't as it was written; empty where all is, or where no checksums were written yet."""
    if not checkpoint.is_dir():
        return f"There is no {checkpoint} any more."
    try:
        sums = read_sealed(checkpoint / _SUMS, cure="")
    except FileNotFoundError:
        return ""
    except (CacheError, ValueError):
        return f"{checkpoint / _SUMS} is damaged."
    if not isinstance(sums, dict):
        return f"{checkpoint / _SUMS} is damaged."
    for name, digest in sums.items():
        path = checkpoint / name
        if not path.is_file() or sha256(path) != digest:
            return f"{path} is damaged."
    return ""
