"""Clips to measure stage 1 with: cut to a number of frames, and what the encoders get of them."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.published.embeddings import Segment
from common.manifest import Clip
from common.media import decode
from common.timeline import AUDIO_RATE_HZ
from stage1_embeddings.events import Frames, Task
from stage1_embeddings.front_end import FrontEnd
from stage1_embeddings.plan import FeaturePlan
from stage1_embeddings.transcript import find_transcript, read_transcript


@dataclass(frozen=True)
class Seen:
    """What the encoders get of one clip: as stage 1 hands it to them, and in segments for the published way."""

    task: Task
    crops: npt.NDArray[np.uint8]
    samples: npt.NDArray[np.float32]
    sentences: list[list[str]]
    segments: list[Segment]


def cut(video: Path, folder: Path, frames: int) -> Path:
    """The first frames of a video and their sound in a file of its own, its transcript beside it."""
    pictures = list(islice(decode.frames(video), frames + 1))
    stop_s = pictures[frames][0] if len(pictures) > frames else np.inf
    path = folder / f"{video.stem}.mkv"
    with av.open(str(video)) as source, av.open(str(path), "w") as target:
        height, width = pictures[0][1].shape[:2]
        seen = target.add_stream("libx264", rate=source.streams.video[0].average_rate)
        seen.width, seen.height, seen.pix_fmt = width, height, "yuv420p"
        seen.codec_context.time_base = Fraction(1, 1000)
        heard = target.add_stream_from_template(source.streams.audio[0])
        for time_s, picture in pictures[:frames]:
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = round(1000 * time_s), Fraction(1, 1000)
            target.mux(seen.encode(frame))
        target.mux(seen.encode(None))
        for packet in source.demux(source.streams.audio[0]):
            if packet.pts is not None and packet.pts * packet.time_base < stop_s:
                packet.stream = heard
                target.mux(packet)
    beside = find_transcript(video)
    if beside is not None:
        shutil.copy(beside, path.with_suffix(beside.suffix))
    return path


def seen_in(clip: Clip, plan: FeaturePlan, folder: Path) -> Seen:
    """Decode, detect and align once; the crops are also written as pictures into ``folder``."""
    task = Task(clip.id, clip.source, None, None, plan.faces(clip), 0, picture=True, sound=True, keep=False)
    events = [event for event in FrontEnd(None)(task) if isinstance(event, Frames)]
    crops = np.concatenate([event.crops for event in events])
    time_s = np.concatenate([event.time_s for event in events])[np.concatenate([event.frame for event in events])]
    folder.mkdir(parents=True)
    paths = [folder / f"{index:05d}.png" for index in range(len(crops))]
    for path, crop in zip(paths, crops, strict=True):
        cv2.imwrite(str(path), cv2.cvtColor(crop, cv2.COLOR_RGB2BGR))
    sound, beside = decode.audio(clip.source), find_transcript(clip.source)
    samples = sound.samples if sound else np.empty(0, np.float32)
    words = read_transcript(beside).segments if beside else ()
    sentences = [[word.text for word in segment.words] for segment in words]
    # A segment lasts until the next one begins, so that each frame and sample is in one.
    starts_s = [0.0, *(s.words[0].start_s for s in words[1:] if s.words[0].start_s < time_s[-1]), np.inf]
    segments = []
    for index, (start_s, stop_s) in enumerate(pairwise(starts_s)):
        inside = np.flatnonzero((time_s >= start_s) & (time_s < stop_s)).tolist()
        stop = len(samples) if np.isinf(stop_s) else round(stop_s * AUDIO_RATE_HZ)
        heard = samples[round(start_s * AUDIO_RATE_HZ) : stop]
        text = " ".join(sentences[index]) if sentences else ""
        segments.append(Segment(tuple(paths[number] for number in inside), heard, text))
    return Seen(task, crops, samples, sentences, segments)
