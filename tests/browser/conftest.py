"""A real browser that opens pages from files, without a network; one that complains or reaches out fails its test."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stage3_mlp.views.media import Media
from tests.common.media_files import write_video

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
SCREENSHOTS = Path(__file__).resolve().parents[2] / "runs" / "browser"

RATE_HZ = 25
FRAMES = 100


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """The machine's own Chromium; the tests are skipped where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright isn't installed: make check-browser")
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip(f"no Chromium: none of {', '.join(BROWSERS)} is on the path")
    with playwright.sync_playwright() as driver:
        # The sandbox needs rights that a container's root doesn't have; the pages are the project's own.
        found = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def opened(browser: Any) -> Iterator[Callable[..., Any]]:
    """Open a file as a page: ``opened(path, width=..., height=..., **context)``."""
    contexts: list[Any] = []
    heard: list[str] = []

    def open_page(path: Path, *, width: int = 1280, height: int = 900, **settings: Any) -> Any:
        context = browser.new_context(viewport={"width": width, "height": height}, offline=True, **settings)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("console", lambda message: heard.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: heard.append(f"error: {error}"))
        page.on("dialog", lambda dialog: (heard.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: heard.append(f"request: {request.url}") if _outside(request.url) else None)
        page.goto(path.as_uri())
        page.heard = heard
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert heard == []


def _outside(url: str) -> bool:
    return not url.startswith(("file:", "blob:", "data:"))


@pytest.fixture(scope="session")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Media:
    """Four seconds of video whose brightness, 2 levels a frame, says which frame is shown; its source is larger."""
    folder = tmp_path_factory.mktemp("video")
    pictures = [np.full((96, 160, 3), 20 + 2 * i, np.uint8) for i in range(FRAMES)]
    return Media(write_video(folder / "talk.mp4", pictures), 0.0, 160, 96, 320)
