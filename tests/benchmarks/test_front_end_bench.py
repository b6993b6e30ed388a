"""What the front end's benchmark compares, and how it counts another interpreter's turns."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from benchmarks import front_end
from common.errors import DataError, UsageError
from common.media import decode
from stage1_embeddings.faces.detect import Face
from stage1_embeddings.faces.tracking import Tracked


def at(x_px: float) -> Tracked:
    box = np.array([x_px, 10, 100, 100], np.float32)
    return Tracked(1, Face(box, np.zeros((5, 2), np.float32), 1.0), True)


def test_boxes_that_are_alike_are_compared() -> None:
    overlap, one_sided = front_end.agreement([at(0), at(0), None], [at(0), at(5), None])
    assert overlap == pytest.approx((1 + 95 / 105) / 2)
    assert one_sided == 0


@pytest.mark.parametrize("followed", [[at(30), at(30)], [at(0), None], [None, None]])
def test_speed_of_other_faces_is_not_given(followed: list[Tracked | None]) -> None:
    with pytest.raises(DataError, match="aren't searched ones"):
        front_end.agreement([at(0), at(0)], followed)


def test_a_video_of_another_size_is_brought_to_640x360(corpus: Path, tmp_path: Path) -> None:
    video = next(iter(sorted(corpus.rglob("*.mp4"))))
    scaled = front_end.at_640x360(video, tmp_path)
    info = decode.probe(scaled)
    assert (info.width_px, info.height_px, info.codec) == (640, 360, "h264")
    frames = sum(1 for _ in decode.times(video))
    assert front_end.bare_decoding(scaled) == frames
    with av.open(str(scaled)) as container:
        assert container.streams.video[0].codec_context.name == "h264"


def answering(code: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_turns_of_another_interpreter_count_for_the_whole_video() -> None:
    code = """
import sys
for _ in sys.stdin:
    print('{"ms": 50.0, "frames": 10, "found": 9}', flush=True)
"""
    with answering(code) as process:
        other = front_end.Mtcnn(process, frames=100)
        other()
        other()
        process.kill()
    assert other.away_s == pytest.approx(2 * 100 * 0.05)
    assert other.found == 0.9


def test_an_interpreter_that_ends_is_an_error() -> None:
    with answering("") as process, pytest.raises(UsageError, match="ended"):
        front_end.Mtcnn(process, frames=100)()
