"""The arithmetic of docs/performance.md: it is what the command prints, and counts what the model computes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.plan import WINDOW, fusion_macs, main, text
from stage2_beit.config import FusionConfig
from stage2_beit.model import FusionModel

PROJECT = Path(__file__).resolve().parents[2]


def test_the_page_shows_what_the_command_prints() -> None:
    page = (PROJECT / "docs" / "performance.md").read_text(encoding="utf-8")
    assert f"```\n{text(3e6, 16)}\n```" in page, "put `python -m benchmarks.plan` into docs/performance.md"


def test_another_card_can_be_named() -> None:
    result = CliRunner().invoke(main, ["--frames", "100000", "--cores", "4", "--peak-tflops", "71"])
    assert result.exit_code == 0 and "this card, 4 cores, 0.1 million frames" in result.output


def test_multiply_adds_are_those_of_the_model() -> None:
    model = FusionModel(FusionConfig(d_k=256, d_proj=768, heads=8, beit_layers=2)).eval()
    inputs: dict[str, torch.Tensor] = {}
    for modality, width in {"visual": 1024, "audio": 768, "text": 768}.items():
        inputs[modality] = torch.randn(1, WINDOW, width)
        inputs[f"present_{modality}"] = torch.ones(1, WINDOW, dtype=torch.bool)
    # The counter knows the products of this kernel, not all of those that are one operation.
    with FlopCounterMode(display=False) as counter, torch.inference_mode(), sdpa_kernel(SDPBackend.MATH):
        model(frame_mask=torch.ones(1, WINDOW, dtype=torch.bool), **inputs)
    assert counter.get_total_flops() == pytest.approx(2 * WINDOW * fusion_macs(), rel=0.03)
