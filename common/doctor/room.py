"""What the videos will need on the disk, against what is free there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from common.datasets import survey_dataset
from common.doctor.check import Check
from common.doctor.found import DataSize, Found
from common.doctor.places import nearest_folder
from common.errors import MavenError
from common.manifest import Clip
from common.reasons import reason_of
from common.recipe import Recipe
from common.schema import FEATURE_DTYPE, LANDMARKS, MODALITIES, REFINED_DTYPE
from common.sizes import in_bytes

SECTION = "places"

#: Widths of Swin-base, HuBERT-base and RoBERTa-base, for models that aren't here to be asked.
_USUAL_WIDTHS = {"visual": 1024, "audio": 768, "text": 768}
#: A base-sized model, some 120 million float32 weights, is 0.5 GB; the larger of the recipes' are below 1 GB.
_MODEL_BYTES = 0.7e9
#: Time, three masks, two labels: in features and in refined features.
_ROW_BYTES = 8 + 3 + 2 * 4
#: Face box, landmarks, score: float32.
_FACE_BYTES = 4 * (4 + 2 * LANDMARKS + 1)
#: Attributes and words of a clip's two files: 22 kB for seven seconds, and words grow.
_CLIP_BYTES = 40_000
_SPARE = 1.05

#: So many videos are opened; of more, the length of the others is taken from these.
_MOST_PROBED = 300
_FRAMES_A_HOUR = 3600 * 30


def frame_bytes(recipe: Recipe, found: Found) -> int:
    """What a frame takes in the cache, features and refined features together; kept crops as if not compressed."""
    fusion = recipe.stage2.fusion
    features = (
        sum(found.widths.get(name, _USUAL_WIDTHS[name]) for name in MODALITIES) * np.dtype(FEATURE_DTYPE).itemsize
    )
    width = fusion.d_proj if fusion.kind == "six-path" else fusion.width
    crops = 3 * recipe.stage1.faces.crop_px**2 if recipe.stage1.faces.keep_crops else 0
    return features + width * np.dtype(REFINED_DTYPE).itemsize + 2 * _ROW_BYTES + _FACE_BYTES + crops


def survey(data: Path, scratch: Path, known: Found) -> Iterator[Check]:
    """What lies in a data set; its tables are imported into ``scratch``, not into the cache."""
    found = survey_dataset(data, scratch, lambda line: None)
    known.brings = {modality: how for modality, how in found.brings.items()}
    refused = [finding for finding in found.findings if finding.weight == "refused"]
    fails = [finding for finding in found.findings if finding.weight == "fails"]
    if refused:
        more = f" (and {len(refused) - 1} more)" if refused[1:] else ""
        cure = f"{refused[0].cure} `python -m stage1_embeddings check-data` lists all."
        yield Check(SECTION, "data", "failed", f"{refused[0].text}{more}", cure)
    size, first = _measured(found.clips)
    known.size = size
    if refused:
        return
    text = f"{data}: {size.clips:,} clips, {size.frames:,} rows"
    text += f", {60 * size.hours:.0f} minutes of video" if size.hours else ""
    facts = {"clips": size.clips, "rows": size.frames, "hours": size.hours}
    if size.broken or fails:
        text += f"; {size.broken + len(fails)} can't be used, such as {first or fails[0].text}"
        cure = "`python -m stage1_embeddings check-data` with this data lists all."
        yield Check(SECTION, "data", "warning", text, cure, facts=facts)
    else:
        yield Check(SECTION, "data", "ok", text, facts=facts)


def _measured(clips: Sequence[Clip]) -> tuple[DataSize, str]:
    """Frames of all clips by the headers of their videos, and the first video that can't be opened, in words."""
    videos = [row.video for clip in clips for row in clip.utterances if row.video is not None]
    sources = [clip.source for clip in clips if not clip.utterances] + videos
    trained = sum(not clip.utterances and clip.split in ("train", "validation") for clip in clips)
    frames, hours, broken, first = _probed(sources)
    rows = sum(len(clip.utterances) for clip in clips)
    return DataSize(len(clips), trained, rows + frames, hours, broken), first


def _probed(sources: Sequence[Path]) -> tuple[int, float, int, str]:
    """Frames and hours of all videos by the headers of some; how many of those can't be opened, and the first why."""
    chosen = sources[:: -(-len(sources) // _MOST_PROBED)] if sources else []
    frames, seconds, broken, first = 0.0, 0.0, 0, ""
    for path in chosen:
        try:
            count, length_s = _by_header(path)
        except (MavenError, OSError, ValueError) as error:
            said = error.problem if isinstance(error, MavenError) else f"{path.name}: {reason_of(error)}"
            broken, first = broken + 1, first or reason_of(said)
            continue
        frames, seconds = frames + count, seconds + length_s
    share = len(sources) / len(chosen) if chosen else 1.0
    return round(frames * share), seconds * share / 3600, broken, first


def _by_header(path: Path) -> tuple[int, float]:
    """Frames and seconds of a video as its container claims them; of a folder of crops, one frame a picture."""
    if path.is_dir():
        return sum(1 for _ in os.scandir(path)), 0.0
    from common.media.container import opened

    with opened(path) as file:
        if not file.streams.video:
            raise ValueError("no video stream")
        stream = file.streams.video[0]
        length_s = float(stream.duration * stream.time_base) if stream.duration else (file.duration or 0) / 1e6
        rate_hz = float(stream.average_rate or 0)
        return int(stream.frames or round(length_s * rate_hz)), length_s or stream.frames / max(rate_hz, 1.0)


def room(recipe: Recipe, cache: Path, found: Found) -> Iterator[Check]:
    """Is there room in the cache, and for models that are still to be fetched?"""
    nearest = nearest_folder(cache)
    if nearest is None:
        return
    free, each = shutil.disk_usage(nearest).free, frame_bytes(recipe, found)
    text = f"{in_bytes(each)} a frame"
    models = found.missing * _MODEL_BYTES if _on_one_disk(nearest, _hub()) else 0
    facts = {"frame_bytes": each, "free_bytes": free, "models_bytes": models}
    if (size := found.size) is None:
        hours = max(0.0, free - models) / (each * _FRAMES_A_HOUR)
        text += f" (features and refined features): {in_bytes(free)} free are enough for {hours:,.0f} h at 30 fps"
        yield Check(SECTION, "room", "ok", text, facts=facts)
        return
    need = _SPARE * each * size.frames + _CLIP_BYTES * size.clips + models
    there = sum(path.stat().st_size for kind in ("features", "fused") for path in (cache / kind).glob("*/*.h5"))
    more = f", {in_bytes(models)} of it for models" if models else ""
    text += f", {in_bytes(need)} for all{more}; {in_bytes(free)} free"
    facts |= {"need_bytes": round(need), "cached_bytes": there}
    cure = f"Free {in_bytes(need - free)}, or give a cache on a larger disk: --cache (CACHE= with make)."
    if need <= free:
        yield Check(SECTION, "room", "ok", text, facts=facts)
    elif need <= free + there:
        text += f"; {in_bytes(there)} are in the cache already, and may be part of it"
        yield Check(SECTION, "room", "warning", text, cure, facts=facts)
    else:
        yield Check(SECTION, "room", "missing", text, cure, facts=facts)


def _hub() -> Path:
    """Where models from the hub are kept."""
    from huggingface_hub.constants import HF_HUB_CACHE

    return Path(HF_HUB_CACHE)


def _on_one_disk(one: Path, other: Path) -> bool:
    near = nearest_folder(other)
    return near is not None and one.stat().st_dev == near.stat().st_dev
