"""The doctor's look at torch, devices, codecs, detectors and recognisers, on machines that lack something."""

from __future__ import annotations

from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest
import torch

from common.doctor import networks
from common.doctor.check import Check

About = namedtuple("About", "name major minor")


def one(found: Any) -> Check:
    (check,) = list(found)
    return check


def test_a_codec_that_is_lacking_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert one(networks.codecs()).state == "ok"
    for lacking, state in (("av1", "warning"), ("h264", "missing"), ("aac", "missing"), ("libx264", "missing")):
        monkeypatch.setattr(networks, "_has_codec", lambda name, mode, lacking=lacking: name != lacking)
        checks = list(networks.codecs())
        assert {check.state for check in checks} == {state} and lacking in checks[0].text, checks
        assert "install --force-reinstall av==" in checks[0].command


def test_unknown_codecs_arent_there() -> None:
    assert networks._has_codec("h264", "r") and not networks._has_codec("no-such-codec", "r")


def test_a_detector_that_is_lacking_matters_to_recipes_that_want_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import cv2

    assert one(networks.face_detectors("yunet")).state == "ok"
    monkeypatch.delattr(cv2, "FaceDetectorYN")
    assert one(networks.face_detectors("yunet")).state == "missing"
    assert one(networks.face_detectors("haar")).state == "warning"


def test_more_threads_than_cores_are_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks, "usable_cores", lambda: 10_000.0)
    assert one(networks.torch_build()).state == "ok"
    monkeypatch.setattr(networks, "usable_cores", lambda: 0.25)
    check = one(networks.torch_build())
    assert check.state == "warning" and check.command == "export OMP_NUM_THREADS=1"


def test_a_gpu_that_this_torch_cant_use_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(networks, "_has_nvidia", lambda: False)
    assert one(networks.device("auto")).state == "ok"
    monkeypatch.setattr(networks, "_has_nvidia", lambda: True)
    monkeypatch.setattr(torch.version, "cuda", None)
    check = one(networks.device("auto"))
    assert check.state == "warning" and "torch is for the CPU" in check.text and "PyPI" in check.cure
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    check = one(networks.device("auto"))
    assert check.state == "warning" and "nvidia-smi" in check.cure
    assert one(networks.device("cpu")).state == "ok"


def gpu(monkeypatch: pytest.MonkeyPatch, free: float) -> Check:
    """What is said of a GPU; the arithmetic is the CPU's."""
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda place: (int(free), int(80e9)))
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda place: About("A GPU", 9, 0))
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_90"])
    return networks._gpu(torch.device("cpu"))


def test_a_gpu_is_told_with_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    check = gpu(monkeypatch, 79e9)
    assert check.state == "ok" and "A GPU, 79.0 GB of 80.0 GB free, capability 9.0" in check.text
    assert gpu(monkeypatch, 1e9).state == "warning"


def test_a_gpu_that_computes_nothing_or_wrongly_stops_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_kernel(*shape: int, device: object) -> None:
        raise RuntimeError("CUDA error: no kernel image is available for execution on the device")

    zeros = torch.zeros
    monkeypatch.setattr(torch, "ones", no_kernel)
    check = gpu(monkeypatch, 79e9)
    assert check.state == "failed" and "no kernel image" in check.text and "sm_90" in check.cure
    monkeypatch.setattr(torch, "ones", lambda *shape, device: zeros(*shape))
    assert "computes wrongly" in gpu(monkeypatch, 79e9).text


def heard(model: str, kind: str = "whisper") -> Check:
    return one(networks.recogniser(kind, model, fetching=False))


def test_whispers_file_is_looked_for_where_whisper_keeps_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import whisper

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert heard("tiny").state == "missing"
    file = tmp_path / "whisper" / "tiny.pt"
    file.parent.mkdir()
    file.write_bytes(b"half of it")
    check = heard("tiny")
    assert check.state == "missing" and "isn't whole" in check.text
    monkeypatch.setattr(networks, "sha256", lambda path: whisper._MODELS["tiny"].split("/")[-2])
    assert heard("tiny").state == "ok"
    assert heard(str(file)).state == "ok"
    assert heard("no-such-model").state == "failed"


def test_faster_whisper_is_named_where_it_is_lacking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    check = heard("small", "faster-whisper")
    assert check.state == "missing" and "requirements-faster-whisper.txt" in check.command
    assert heard("small", "none").state == "ok"
