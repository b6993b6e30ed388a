"""The jobs of docs/slurm without Slurm: bash runs them, and what they would start is written down instead."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

SLURM = Path(__file__).resolve().parent.parent.parent / "docs" / "slurm"
STUB = """#!/bin/bash
for word in "${0##*/}" "$@"; do printf '%s\\0' "$word"; done >> "$CALLS"; printf '\\n' >> "$CALLS"
[ "${0##*/}" != scontrol ] || printf 'node7\\nnode8\\n'
case " $* " in *" $FAILS "*) exit 3;; esac
"""


def run(job: str, folder: Path, **variables: str) -> tuple[int, list[list[str]]]:
    """Exit code of a job, and the commands that it called."""
    for name in ("make", "srun", "scontrol", ".venv/bin/python"):
        path = folder / "bin" / name if "/" not in name else folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(STUB)
        path.chmod(0o755)
    calls = folder / "calls"
    calls.unlink(missing_ok=True)
    environment = {
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        "CALLS": str(calls),
        "FAILS": "nothing",
        "SLURM_SUBMIT_DIR": str(folder),
        **variables,
    }
    done = subprocess.run(["bash", str(SLURM / job)], cwd=folder, env=environment, check=False)
    return done.returncode, [line.rstrip("\0").split("\0") for line in calls.read_text().splitlines()]


def test_a_task_of_the_array_takes_its_share(tmp_path: Path) -> None:
    variables = {"SLURM_ARRAY_TASK_ID": "3", "DATA": "/data/Müller's films", "SET": "a.b=1 c.d=[x,y]"}
    for more, share in (
        ({"SLURM_ARRAY_TASK_COUNT": "8"}, "3/8"),
        ({"SLURM_ARRAY_TASK_COUNT": "2", "SHARDS": "9"}, "3/9"),
    ):
        code, [words] = run("embeddings.sbatch", tmp_path, **variables, **more)
        assert code == 0 and words[:3] == ["make", "embeddings", f"SHARD={share}"]
        assert {"DATA=/data/Müller's films", "SET=a.b=1 c.d=[x,y]", "CACHE=cache", "RUN=maven"} <= set(words)
    code, _ = run("embeddings.sbatch", tmp_path, **variables, FAILS="embeddings")
    assert code == 3, "a clip that failed is a task that failed"


def test_both_nodes_train_and_one_scores(tmp_path: Path) -> None:
    variables = {"SLURM_JOB_NODELIST": "node[7-8]", "SLURM_JOB_NUM_NODES": "2", "SLURM_JOB_ID": "41"}
    variables |= {"SLURM_GPUS_ON_NODE": "4", "SET": "stage2.window={frames:64} *"}
    code, calls = run("training.sbatch", tmp_path, **variables)
    assert code == 0
    _, *launches, last = calls
    commands = [["stage2_beit", "train"], ["stage2_beit", "export"], ["stage3_mlp", "train"]]
    given = ["--recipe", "maven", "--set", "stage2.window={frames:64}", "--set", "*"]
    for words, command in zip(launches, commands, strict=True):
        assert words[:2] == ["srun", ".venv/bin/torchrun"]
        assert {"--nnodes=2", "--nproc-per-node=4", "--rdzv-endpoint=node7:29500", "--rdzv-id=41"} <= set(words)
        at = words.index("--")
        places = ["--cache", "cache", "--run", "runs/maven", "--device", "cuda"]
        assert words[at + 1 :] == [*command, *(given if command[1] == "train" else []), *places]
    assert last[:4] == ["python", "-m", "stage3_mlp", "test"]
    code, calls = run("training.sbatch", tmp_path, **variables, FAILS="export")
    assert code == 3 and len(calls) == 3, "what follows isn't begun"


@pytest.mark.parametrize("job", sorted(path.name for path in SLURM.glob("*.sbatch")))
def test_its_options_stand_before_the_first_command(job: str) -> None:
    lines = (SLURM / job).read_text().splitlines()
    first = next(number for number, line in enumerate(lines) if line and not line.startswith("#"))
    options = [number for number, line in enumerate(lines) if re.match(r"#SBATCH --[a-z-]+(=\S+)?$", line)]
    assert options and max(options) < first
    assert sum("#SBATCH" in line for line in lines) == len(options)
