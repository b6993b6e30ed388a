"""A hand on the page of a video: what it shows now, and what is clicked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from stage3_mlp.views.view import Track
from tests.browser.conftest import RATE_HZ

Open = Callable[..., Any]
FRAME_S = 1 / RATE_HZ
#: The pixels of a canvas, read from a copy: reading makes Chromium warn of the page's own.
PIXELS = """(canvas) => {
  const copy = document.createElement("canvas");
  Object.assign(copy, { width: canvas.width, height: canvas.height });
  const context = copy.getContext("2d", { willReadFrequently: true });
  context.drawImage(canvas, 0, 0);
  return context;
}"""
#: Which frame the video shows: its brightness, 2 levels each from 20 on.
SHOWN_FRAME = """() => {
  const video = document.getElementById("video");
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 1;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(video, 0, 0, 1, 1);
  return Math.round((context.getImageData(0, 0, 1, 1).data[1] - 20) / 2);
}"""
STILL = "() => { const v = document.getElementById('video'); return v.readyState >= 2 && !v.seeking; }"


def now(page: Any) -> float:
    return float(page.locator("#seeker").get_attribute("aria-valuenow"))


def settled(page: Any) -> Any:
    page.wait_for_function(STILL)
    return page


def click_timeline(page: Any, share: float) -> None:
    seeker = page.locator("#seeker")
    box = seeker.bounding_box()
    seeker.click(position={"x": share * box["width"], "y": box["height"] / 2})


def playhead_share(page: Any) -> float:
    """Where the cursor lies on the timeline, from 0 to 1."""
    cursor, whole = page.locator("#playhead").bounding_box(), page.locator("#seeker").bounding_box()
    return (cursor["x"] + cursor["width"] / 2 - whole["x"]) / whole["width"]


def broken(made: Track) -> Track:
    return replace(made, prediction=replace(made.prediction, values=np.full_like(made.prediction.values, np.nan)))


def uneven(made: Track) -> Track:
    time_s = 5 + np.cumsum(np.random.default_rng(0).choice([0.02, 0.04, 0.08], len(made.prediction.time_s)))
    return replace(made, prediction=replace(made.prediction, time_s=time_s))
