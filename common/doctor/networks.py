"""What runs networks and decodes videos: torch, device, precision, codecs, detectors, the recogniser's model."""

from __future__ import annotations

import importlib
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from common.doctor.check import Check, python
from common.doctor.machine import usable_cores
from common.doctor.models import SECTION as MODELS
from common.errors import UsageError
from common.files import sha256
from common.provenance import PROJECT
from common.reasons import reason_of
from common.sizes import in_bytes

SECTION = "computing"

#: What people's videos hold; the first of each row must be there, the others cost the videos that have them.
_DECODERS = (
    "h264 hevc vp8 vp9 av1 mpeg4 mpeg2video wmv2 mjpeg".split(),
    "aac opus mp3 vorbis ac3 flac pcm_s16le".split(),
)
#: What the embedded corpus, overlays and pages are written with.
_ENCODERS = ("libx264", "aac")
#: Less free memory on a GPU than this is somebody else's.
_LITTLE_GPU_BYTES = 4e9


_FOR_CUDA = (
    "This torch is for the CPU alone. For the GPU install the pinned version as PyPI has it, which is for CUDA "
    "(pip install --force-reinstall torch==...), or keep to the CPU with --device cpu."
)


def codecs() -> Iterator[Check]:
    """Decoders and encoders of the FFmpeg inside PyAV."""
    import av

    def lacking(names: Sequence[str], mode: str) -> list[str]:
        return [name for name in names if not _has_codec(name, mode)]

    cure = (
        "Install PyAV's own wheel again:",
        python("-m", "pip", "install", "--force-reinstall", f"av=={av.__version__}"),
    )
    names = [name for kind in _DECODERS for name in kind]
    unread, unwritten = lacking(names, "r"), lacking(_ENCODERS, "w")
    grave = [kind[0] for kind in _DECODERS if kind[0] in unread]
    if unread:
        text = f"FFmpeg in PyAV {av.__version__} can't decode {', '.join(unread)}"
        yield Check(SECTION, "codecs", "missing" if grave else "warning", text, *cure)
    if unwritten:
        text = f"FFmpeg in PyAV {av.__version__} can't encode {', '.join(unwritten)}: no overlay, no embedded corpus"
        yield Check(SECTION, "codecs", "missing", text, *cure)
    if not unread and not unwritten:
        text = f"PyAV {av.__version__}: reads {' '.join(names)}; writes {' '.join(_ENCODERS)}"
        yield Check(SECTION, "codecs", "ok", text)


def _has_codec(name: str, mode: Any) -> bool:
    import av

    try:
        av.Codec(name, mode)
    except (av.FFmpegError, ValueError):
        return False
    return True


def face_detectors(wanted: str) -> Iterator[Check]:
    """Both of OpenCV's: the class that runs YuNet, and the Haar cascade."""
    import cv2
    import cv2.data

    cascade = Path(cv2.data.haarcascades) / "haarcascade_frontalface_alt2.xml"
    there = {"yunet": hasattr(cv2, "FaceDetectorYN"), "haar": False}
    if hasattr(cv2, "CascadeClassifier") and cascade.is_file():
        there["haar"] = not cv2.CascadeClassifier(str(cascade)).empty()
    lacking = [name for name, has in there.items() if not has]
    if not lacking:
        yield Check(SECTION, "detectors", "ok", f"OpenCV {cv2.__version__}: YuNet's class and the Haar cascade")
        return
    cure = "Install opencv-python-headless again, as pinned, and no other opencv package beside it."
    text = f"OpenCV {cv2.__version__} can't run {' and '.join(lacking)}"
    yield Check(SECTION, "detectors", "missing" if wanted in lacking else "warning", text, cure)


def torch_build() -> Iterator[Check]:
    """torch, what it was built for, its threads."""
    import torch

    threads, cores = torch.get_num_threads(), usable_cores()
    build = f"for CUDA {torch.version.cuda}" if torch.version.cuda else "for the CPU"
    build = f"for ROCm {torch.version.hip}" if torch.version.hip else build
    text = f"{torch.__version__}, built {build}, {threads} thread{'' if threads == 1 else 's'}"
    facts = {"version": torch.__version__, "cuda": torch.version.cuda, "threads": threads}
    if threads > cores + 0.5:
        text += f" on {cores:g} cores: they get in each other's way"
        export = f"export OMP_NUM_THREADS={max(1, int(cores))}"
        yield Check(SECTION, "torch", "warning", text, "In the shell of the run, before it:", export, facts)
        return
    yield Check(SECTION, "torch", "ok", text, facts=facts)


def device(name: str) -> Iterator[Check]:
    """The device that a run would take, its memory, and whether this torch can use it."""
    import torch

    from common.device import torch_device

    try:
        place = torch_device(name)
    except UsageError as error:
        built = "" if torch.version.cuda or not name.startswith("cuda") else _FOR_CUDA
        yield Check(SECTION, "device", "failed", error.problem, built or error.cure)
        return
    if place.type == "cuda":
        yield _gpu(place)
        return
    chosen = f"{place}" if name != "auto" else f"{place} (auto)"
    if place.type == "cpu" and _has_nvidia() and not torch.version.cuda:
        cure = _FOR_CUDA
        yield Check(SECTION, "device", "warning", f"{chosen}: there is an NVIDIA GPU, but torch is for the CPU", cure)
    elif place.type == "cpu" and _has_nvidia() and name == "auto":
        cure = "nvidia-smi tells the driver's version; CUDA_VISIBLE_DEVICES must not be empty."
        yield Check(SECTION, "device", "warning", f"{chosen}: there is an NVIDIA GPU, but torch can't use it", cure)
    else:
        text = f"{chosen}: no GPU found" if place.type == "cpu" and name == "auto" else chosen
        yield Check(SECTION, "device", "ok", text, facts={"device": str(place)})


def _gpu(place: Any) -> Check:
    import torch

    free, total = torch.cuda.mem_get_info(place)
    about = torch.cuda.get_device_properties(place)
    built_for = torch.cuda.get_arch_list()
    text = f"{place}: {about.name}, {in_bytes(free)} of {in_bytes(total)} free, capability {about.major}.{about.minor}"
    facts = {"device": str(place), "name": about.name, "free_bytes": free, "total_bytes": total, "built_for": built_for}
    try:
        ones = torch.ones(64, 64, device=place)
        right = float((ones @ ones).sum()) == 64**3
    except RuntimeError as error:
        cure = f"Install a torch that is built for it (this one: {', '.join(built_for)}), or use --device cpu."
        return Check(SECTION, "device", "failed", f"{text}; it can't compute: {reason_of(error)}", cure, facts=facts)
    if not right:
        cure = "Try another GPU (--device cuda:1); this one, or its driver, isn't sound."
        return Check(SECTION, "device", "failed", f"{text}; it computes wrongly", cure, facts=facts)
    if free < _LITTLE_GPU_BYTES:
        cure = "nvidia-smi shows who has the rest; batches are halved until they fit, and that is slow."
        return Check(SECTION, "device", "warning", text, cure, facts=facts)
    return Check(SECTION, "device", "ok", text, facts=facts)


def _has_nvidia() -> bool:
    return Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi") is not None


def precisions(name: str, wanted: Sequence[Any]) -> Iterator[Check]:
    """Those that the recipe asks for, on this device, and whether its hardware has bfloat16."""
    from common.device import has_bfloat16, torch_device, torch_dtype

    place = torch_device(name)
    native = has_bfloat16(place.type)
    facts = {"wanted": list(wanted), "bfloat16_in_hardware": native}
    for precision in wanted:
        try:
            torch_dtype(precision, place)
        except UsageError as error:
            yield Check(SECTION, "precision", "failed", error.problem, error.cure, facts=facts)
            return
    text = f"{', '.join(wanted)}; bfloat16 is {'in hardware' if native else 'emulated, which is slow'}"
    if "bfloat16" in wanted and not native:
        yield Check(SECTION, "precision", "warning", text, "Set the recipe's precisions to float32 here.", facts=facts)
    else:
        yield Check(SECTION, "precision", "ok", text, facts=facts)


def recogniser(kind: str, model: str, *, fetching: bool) -> Iterator[Check]:
    """The model that hears words, where no transcript lies beside a video; fetched first, if that is asked for."""
    if kind == "none":
        yield Check(MODELS, "speech", "ok", "no recogniser: words come from transcripts beside the videos alone")
    elif kind == "faster-whisper":
        yield _faster(model, fetching)
    else:
        yield _whisper(model, fetching)


def _whisper(model: str, fetching: bool) -> Check:
    import whisper

    url = getattr(whisper, "_MODELS", {}).get(model)
    if url is None:
        if Path(model).is_file():
            return Check(MODELS, "speech", "ok", f"whisper, {model}", facts={"file": model})
        cure = f"Give one of {', '.join(whisper.available_models())}, or a checkpoint file."
        return Check(MODELS, "speech", "failed", f"whisper {model}: neither a file nor a model it knows", cure)
    if fetching:
        try:
            whisper.load_model(model, device="cpu")
        except (OSError, RuntimeError) as error:
            cure = "Copy its .pt file into ~/.cache/whisper, or set stage1.speech.recogniser=none."
            return Check(MODELS, "speech", "missing", f"whisper {model} can't be fetched: {reason_of(error)}", cure)
    # As whisper.load_model has it; the address holds the file's sha256.
    path = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"), "whisper", url.rsplit("/", 1)[1])
    if not path.is_file():
        return Check(MODELS, "speech", "missing", f"whisper {model}: not on this machine ({path})")
    if sha256(path) != url.split("/")[-2]:
        return Check(MODELS, "speech", "missing", f"whisper {model}: {path} isn't whole")
    return Check(MODELS, "speech", "ok", f"whisper {model} ({in_bytes(path.stat().st_size)}), {path}")


def _faster(model: str, fetching: bool) -> Check:
    try:
        package = importlib.import_module("faster_whisper")
    except ImportError as error:
        install = python("-m", "pip", "install", "-r", str(PROJECT / "requirements-faster-whisper.txt"))
        cure = "Set stage1.speech.recogniser=whisper, or install it:"
        return Check(MODELS, "speech", "missing", f"faster-whisper: {reason_of(error)}", cure, install)
    path = Path(model).expanduser()
    if path.is_dir():
        return Check(MODELS, "speech", "ok", f"faster-whisper, {path}", facts={"file": str(path)})
    try:
        folder = package.download_model(model, local_files_only=not fetching)
    except (OSError, ValueError) as error:
        return Check(MODELS, "speech", "missing", f"faster-whisper {model}: {reason_of(error)}")
    return Check(MODELS, "speech", "ok", f"faster-whisper {model}, {folder}", facts={"file": str(folder)})
