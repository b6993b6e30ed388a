"""The machine that was measured on: what the figures depend on, and a name for its file of results."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
from pathlib import Path
from typing import Any

import psutil

_PACKAGES = ("torch", "transformers", "numpy", "h5py", "av", "opencv-python-headless")


def machine(device: str) -> dict[str, Any]:
    """Processor, memory, accelerator and versions, as JSON values."""
    import torch

    from common.device import has_bfloat16, torch_device

    place = torch_device(device)
    found: dict[str, Any] = {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "bfloat16": has_bfloat16(place.type),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "kind": place.type,
        "device": torch.cuda.get_device_name(place) if place.type == "cuda" else place.type,
        "versions": {"python": platform.python_version()},
    }
    for package in _PACKAGES:
        found["versions"][package] = importlib.metadata.version(package)
    return found


def processor() -> str:
    """The processor's model, as the system names it."""
    listed = Path("/proc/cpuinfo")
    if listed.is_file():
        names = re.findall(r"^model name\s*:\s*(.+)$", listed.read_text(encoding="utf-8"), re.MULTILINE)
        if names:
            return str(names[0]).strip()
    return platform.processor() or platform.machine()


def slug(found: dict[str, Any]) -> str:
    """A file name: the accelerator, or the processor with what it can do, and the number of cores.

    Clouds name processors of several generations alike ("AMD EPYC"); what they can do tells them apart.
    """
    of_processor = f"{found['processor']} {found['capability']}"
    named = of_processor if found["device"] in ("cpu", "mps") else found["device"]
    plain = re.sub(r"\([^)]*\)|@.*", "", named)  # (R), (TM), the clock
    return "-".join([*re.findall(r"[a-z0-9]+", plain.lower()), str(found["cores"]), "cores"])


def in_words(found: dict[str, Any]) -> str:
    """One line."""
    accelerator = "" if found["device"] == "cpu" else f", {found['device']}"
    emulated = "" if found["bfloat16"] else " (bfloat16 is emulated)"
    versions = ", ".join(f"{name} {number}" for name, number in found["versions"].items())
    return (
        f"{found['processor']}, {found['cores']} cores, {found['capability']}{emulated}, {found['memory_gib']} GiB"
        f"{accelerator}; {found['system']}; {versions}"
    )
