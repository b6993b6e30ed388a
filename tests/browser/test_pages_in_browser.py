"""The pages of a test run, of a comparison and of a run in any state, in a real browser: quiet, and as wide as it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from common.files import write_json
from common.manifest import Failure, write_manifest
from stage3_mlp.compare.compare import compare
from stage3_mlp.report.state_page import report
from stage3_mlp.report.test_page import write_test_report
from tests.browser.conftest import SCREENSHOTS
from tests.stage3.read_page import EVIL
from tests.stage3.test_compare import made, moving
from tests.stage3.test_report import PAGES, STUDIES, clip, epochs, figures
from tests.stage3.test_studied import manifest_of

pytestmark = pytest.mark.browser

#: How many lines each interval of a table takes.
LINES_OF_INTERVALS = """() => Array.from(document.querySelectorAll("td"))
  .filter((cell) => /^[−+]?\\d\\.\\d+\\s+to\\s+[−+]?\\d\\.\\d+$/.test(cell.textContent.trim()))
  .map((cell) => {
    const text = document.createRange();
    text.selectNodeContents(cell);
    return new Set(Array.from(text.getClientRects(), (part) => Math.round(part.top))).size;
  })"""


def of_a_test(folder: Path) -> Path:
    means = {"low": 0.1, EVIL: 0.9, "none": None, "mid": 0.5}
    write_test_report(
        folder / "report.html",
        metrics={**figures(means), "run": EVIL, "data": EVIL, "remarks": [f"LEAKING {EVIL}", EVIL]},
        predictions=[clip(name) for name in means],
        histories={"Stage 2": epochs(4), "Stage 3": epochs(1)},
        labels={"training": clip("t").labels, "test": clip("u", 9).labels},
        studies=STUDIES,
        pages=PAGES,
    )
    return folder / "report.html"


def of_a_comparison(folder: Path) -> Path:
    noise = {made(folder / EVIL): 0.1, made(folder / "b", "stage2.modalities=[text]"): 0.5, made(folder / "c"): 0.2}

    def predict(head: Path, *_: Any) -> list[Any]:
        return [moving(name.id, noise[head.parent]) for name in _[2]]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stage3_mlp.compare.compare.predict_clips", predict)
        compare(list(noise), folder / "cache", "cpu", folder / "out", lambda _: None)
    return folder / "out" / "compare.html"


def of_a_state(folder: Path) -> Path:
    run = folder / "runs" / EVIL
    failures = (Failure(EVIL, f"{EVIL} can't be decoded.", "Convert it."),)
    encoders = {"visual": {"model": EVIL, "revision": "0123456789abcdef0123456789"}}
    write_manifest(run, replace(manifest_of(), failures=failures, encoders=encoders, remarks=(EVIL,)))
    write_json(run / "test" / "metrics.json", figures({EVIL: 0.3}))
    state = {"epoch": 3.0, "num_train_epochs": 60, "global_step": 60, "log_history": epochs(3)}
    write_json(run / "checkpoints" / "fusion-abc" / "checkpoint-60" / "trainer_state.json", state)
    return report(run, folder / "cache", lambda _: None)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    makers: dict[str, Callable[[Path], Path]] = {"test": of_a_test, "compare": of_a_comparison, "state": of_a_state}
    return {name: make(tmp_path_factory.mktemp(name)) for name, make in makers.items()}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 800, 1600])
@pytest.mark.parametrize("name", ["test", "compare", "state"])
def test_a_page_is_quiet_and_fits_the_screen(
    pages: dict[str, Path], opened: Callable[..., Any], name: str, width: int, scheme: str
) -> None:
    page = opened(pages[name], width=width, color_scheme=scheme)
    assert EVIL in page.locator("body").text_content()
    assert page.locator("img:not([src^='data:image/png'])").count() == 0
    assert page.evaluate("() => document.documentElement.scrollWidth") == width
    lines = page.evaluate(LINES_OF_INTERVALS)
    assert lines and set(lines) == {1}, "an interval stands on one line"
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}-{width}-{scheme}.png", full_page=True)
    assert page.heard == []
