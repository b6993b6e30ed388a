"""The models that a recipe names: which are on this machine, whole, and how to get the others. Asks no network."""

from __future__ import annotations

import contextlib
import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from common.doctor.check import Check
from common.doctor.found import Found
from common.doctor.surroundings import environment
from common.errors import ModelError
from common.models import Pretrained, fetch, find
from common.reasons import reason_of
from common.recipe import Recipe, Stage1
from common.schema import MODALITIES
from common.sizes import in_bytes

SECTION = "models"

#: Models that are no files: made on the spot, none, or features that the data set brings.
_WITHOUT_FILES = {
    "miniature": "miniature with random weights, made on first use",
    "none": "none: there is nothing of this modality",
    "given": "none: the data set brings the features",
}

_Kind = Literal["visual", "audio", "text", "BEiT"]

#: Files beside weights and configuration, of which a model of a kind needs one.
_BESIDE: dict[_Kind, tuple[str, ...]] = {
    "visual": ("preprocessor_config.json",),
    "audio": ("preprocessor_config.json",),
    "text": ("tokenizer.json", "vocab.json", "vocab.txt"),
    "BEiT": (),
}

#: Asks stage 1, in a process of its own, where YuNet's file is; without addresses it fetches nothing.
_ASK_YUNET = """
import json, sys
from pathlib import Path
from common.errors import ModelError
from stage1_embeddings.faces.yunet import yunet_weights
given, fetching = json.loads(sys.argv[1])
try:
    print(yunet_weights(path=Path(given) if given else None, **({} if fetching else {"urls": ()})))
except ModelError as error:
    sys.exit(error.problem)
"""
_ASK_S = 120.0


def encoders(recipe: Recipe, found: Found) -> Iterator[Check]:
    """The frozen encoders, and the BEiT that the fusion starts from."""
    for modality in MODALITIES:
        encoder = getattr(recipe.stage1, modality)
        model = found.brings.get(modality, encoder.model)
        if model in _WITHOUT_FILES and (modality in found.brings or encoder.revision is None):
            yield Check(SECTION, modality, "ok", _WITHOUT_FILES[model])
            continue
        yield _pretrained(modality, encoder.model, encoder.revision, f"stage1.{modality}", found)
    fusion = recipe.stage2.fusion
    if fusion.kind == "six-path" and fusion.beit_model is not None:
        yield _pretrained("BEiT", fusion.beit_model, fusion.beit_revision, "stage2.fusion.beit_model", found)


def _pretrained(kind: _Kind, model: str, revision: str | None, key: str, found: Found) -> Check:
    named = find(model, revision, key)
    try:
        with contextlib.nullcontext() if found.fetching else without_network():
            folder = fetch(named)
        faults = _faults(folder, kind)
    except ModelError as error:
        if not isinstance(error.__cause__, Exception):  # it is there, but isn't whole
            return _unwhole(kind, named, error.problem)
        found.missing += 1
        text = f"{model} at {str(revision)[:8]}: not on this machine"
        if found.fetching:
            return Check(SECTION, kind, "missing", error.problem, error.cure, facts=named.describe())
        return Check(SECTION, kind, "missing", text, facts=named.describe())
    if faults:
        return _unwhole(kind, named, f"{folder} {'; '.join(faults)}")
    config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if width := _width(config):
        found.widths[kind] = width
    size = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    where = f"at {named.revision[:8]}" if named.revision else "folder"
    text = f"{model} ({where}, {config.get('model_type', 'of unknown type')}, {in_bytes(size)})"
    return Check(SECTION, kind, "ok", text, facts={**named.describe(), "folder": str(folder), "bytes": size})


def _unwhole(kind: str, named: Pretrained, text: str) -> Check:
    if not named.revision:
        return Check(SECTION, kind, "failed", text, "Copy the folder again, whole.", facts=named.describe())
    hf = shlex.join([str(Path(sys.executable).with_name("hf")), "download", named.model, "--revision", named.revision])
    wanted = "--include '*.safetensors*' --include '*.json' --include '*.txt'"
    command = f"{hf} {wanted} --force-download"
    return Check(SECTION, kind, "failed", text, "Fetch it again:", command, named.describe())


def _faults(folder: Path, kind: _Kind) -> list[str]:
    """What keeps a folder from being a whole model: headers are read, weights aren't."""
    from safetensors import SafetensorError, safe_open

    faults = []
    for path in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(path, framework="np"):
                pass
        except (SafetensorError, OSError) as error:
            faults.append(f"holds {path.name}, which isn't whole ({reason_of(error)})")
    for path in sorted(folder.glob("*.safetensors.index.json")):
        shards = set(json.loads(path.read_text(encoding="utf-8")).get("weight_map", {}).values())
        lacking = sorted(shard for shard in shards if not (folder / shard).is_file())
        faults += [f"lacks {', '.join(lacking)}"] if lacking else []
    beside = _BESIDE[kind]
    if beside and not any((folder / name).is_file() for name in beside):
        faults.append(f"lacks {' or '.join(beside)}")
    return faults


def _width(config: dict[str, Any]) -> int:
    """The width of a model's last hidden state by its config.json; 0 where that doesn't say."""
    if "embed_dim" in config and "depths" in config:  # Swin doubles it with each stage
        return int(config["embed_dim"]) << (len(config["depths"]) - 1)
    return int(config.get("hidden_size") or config.get("d_model") or 0)


@contextlib.contextmanager
def without_network() -> Iterator[None]:
    """Hold huggingface_hub to what is on this machine."""
    import huggingface_hub.constants as hub

    before, hub.HF_HUB_OFFLINE = hub.HF_HUB_OFFLINE, True
    try:
        yield
    finally:
        hub.HF_HUB_OFFLINE = before


def yunet(stage1: Stage1, found: Found) -> Iterator[Check]:
    """The face detector's file, where the recipe wants one and there are pictures."""
    faces = stage1.faces
    if found.brings.get("visual", stage1.visual.model) in ("none", "given"):
        yield Check(SECTION, "faces", "ok", "no pictures to find any in")
        return
    if faces.detector != "yunet":
        yield Check(SECTION, "faces", "ok", f"detector {faces.detector}: needs no file")
        return
    given = str(faces.weights) if faces.weights else ""
    asked = [sys.executable, "-c", _ASK_YUNET, json.dumps([given, found.fetching])]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=_ASK_S, env=environment())
    lines = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines()
    said = lines[-1] if lines else f"stage 1 ended with exit code {done.returncode}"
    if done.returncode == 0:
        yield Check(SECTION, "faces", "ok", f"YuNet, as measured with: {said}", facts={"file": said})
    elif given or found.fetching:
        # One sentence of it; the addresses that were tried would fill the screen.
        facts, said = {"said": said}, said.partition(". http")[0]
        cure = "Set stage1.faces.weights to YuNet's file, or stage1.faces.detector=haar, which needs none."
        yield Check(SECTION, "faces", "failed" if given else "missing", said, cure, facts=facts)
    else:
        yield Check(SECTION, "faces", "missing", "YuNet's weights (0.2 MB): not on this machine")


def with_cure(check: Check, command: str) -> Check:
    """A model that is missing without a cure of its own is fetched by ``command``."""
    if check.state != "missing" or check.cure:
        return check
    return replace(check, cure="A run fetches it if it reaches the network. To have it now:", command=command)
