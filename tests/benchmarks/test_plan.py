"""The arithmetic of two pages: it is what the command prints, and counts what the model computes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import plan_videos
from benchmarks.plan import CARDS, WINDOW, fusion_macs, main, text
from stage2_beit.config import FusionConfig
from stage2_beit.model import FusionModel

PROJECT = Path(__file__).resolve().parents[2]


def test_the_page_shows_what_the_command_prints() -> None:
    page = (PROJECT / "docs" / "performance.md").read_text(encoding="utf-8")
    assert f"```\n{text(3e6, 16)}\n```" in page, "put `python -m benchmarks.plan` into docs/performance.md"


def test_the_page_of_very_many_videos_shows_what_the_command_prints() -> None:
    page = (PROJECT / "docs" / "scaling.md").read_text(encoding="utf-8")
    result = CliRunner().invoke(main, ["--videos", "600", "--videos", "60000", "--videos", "60000000"])
    assert result.exit_code == 0
    assert f"-->\n{result.output}<!-- end of the table" in page, "put the command's table into docs/scaling.md"


def test_very_many_videos_cost_in_proportion() -> None:
    one, many = plan_videos.Scale(600), plan_videos.Scale(600_000)
    assert one.frames == 3e6 and many.frames == 3e9
    assert many.core_hours == pytest.approx(1000 * one.core_hours) == pytest.approx(2250)
    for card in CARDS:
        assert many.gpu_hours(card) == pytest.approx([1000 * hours for hours in one.gpu_hours(card)])
        fast, slow = (3e6 / hours / 3600 for hours in one.gpu_hours(card))
        assert [f"{rate:,.0f}" for rate in (slow, fast)] == text(3e6, 16, (card,)).split("encoders")[1].split()[0:3:2]


@pytest.mark.parametrize(
    ("shown", "value", "words"),
    [
        (plan_videos._count, 0.079, "0.079"),
        (plan_videos._count, 22_500, "22,500"),
        (plan_videos._count, 3e11, "300 billion"),
        (plan_videos._bytes, 999.4, "999 B"),
        (plan_videos._bytes, 1.563e15, "1.56 PB"),
        (plan_videos._bytes, 5e18, "5e+03 PB"),
        (plan_videos._time, 0.56, "0.56 s"),
        (plan_videos._time, 86_400 * 20.0, "20.0 days"),
        (plan_videos._money, 0.001, "under $0.01"),
        (plan_videos._money, 57_339.4, "$57,339"),
    ],
)
def test_figures_in_words(shown: Callable[[float], str], value: float, words: str) -> None:
    assert shown(value) == words


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
