"""What is heard and said in a clip: features of its sound, and of its words, on the clock of its frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from common.media.sound import SoundBlock
from common.rows import Arrays, Spool
from common.schema import (
    WORD_END,
    WORD_START,
    WORD_TEXT,
    present,
)
from common.timeline import frames_within, spans_to_frames
from stage1_embeddings.encoders.resolve import NONE
from stage1_embeddings.events import Array
from stage1_embeddings.onclock import Absent, HopsOnFrames, TokensStretched, WordsOnFrames
from stage1_embeddings.tools import Tools
from stage1_embeddings.transcript import Transcript

if TYPE_CHECKING:
    from stage1_embeddings.speech.recogniser import Listening


class Hearing:
    """Audio features (eq. 6-7) and recognised words of a clip, as its sound comes in."""

    def __init__(self, tools: Tools, encode: bool, recognise: bool) -> None:
        self._tools = tools
        self._stream = tools.audio.stream() if encode else None
        self._hops = Spool((tools.audio.dim,), np.float32, tools.scratch) if encode else None
        self._recognise = recognise and tools.recogniser is not None
        self._listening: Listening | None = None
        self._start_s: float | None = None
        self._end_s = 0.0
        self._holes: list[tuple[float, float]] = []
        self.heard: Transcript | None = None

    def add(self, block: SoundBlock) -> None:
        if self._start_s is None:
            self._start_s = block.start_s
            if self._recognise:
                assert self._tools.recogniser is not None
                self._listening = self._tools.recogniser.listen(block.start_s)
        self._end_s = block.end_s
        if block.hole:
            self._holes.append((block.start_s, block.end_s))
        if self._stream is not None and self._hops is not None:
            self._hops.append(self._stream.add(block.samples))
        if self._listening is not None:
            self._listening.add(block.samples)

    def end(self) -> None:
        """The sound is over: what was held back comes out."""
        if self._stream is not None and self._hops is not None:
            self._hops.append(self._stream.close())
        if self._listening is not None:
            self.heard = self._listening.close()

    def arrays(self, time_s: Array) -> Arrays:
        """Audio features on the frame clock; absent before the sound begins, after it ends, in its holes."""
        mask = np.zeros(len(time_s), dtype=np.bool_)
        if self._hops is None or self._start_s is None or not self._hops.shape[0]:
            return {"audio": Absent(len(time_s), self._tools.audio.dim), present("audio"): mask}
        mask = frames_within(time_s, self._start_s, self._end_s)
        for start_s, end_s in self._holes:
            mask &= ~frames_within(time_s, start_s, end_s)
        centres_s = self._tools.audio.centres_s(0, self._hops.shape[0]) + self._start_s
        return {"audio": HopsOnFrames(self._hops, centres_s, time_s, mask), present("audio"): mask}

    def close(self) -> None:
        if self._hops is not None:
            self._hops.close()


def text_arrays(heard: Transcript | None, time_s: Array, tools: Tools) -> Arrays:
    """Text features on the frame clock (eq. 8-12) and the timed words.

    ``words``: a frame has the word under its middle, and no text between words. ``interpolate``: eq. 12 as printed,
    tokens stretched over all frames.
    """
    words = [word for segment in heard.segments for word in segment.words] if heard else []
    start_s = np.array([word.start_s for word in words], dtype=np.float64)
    end_s = np.array([word.end_s for word in words], dtype=np.float64)
    rows: Absent | TokensStretched | WordsOnFrames = Absent(len(time_s), tools.width("text"))
    if heard and words and tools.settings.text.model != NONE:
        features = tools.text([[word.text for word in segment.words] for segment in heard.segments])
        if tools.settings.text.alignment == "interpolate":
            rows = TokensStretched(features.tokens, len(time_s))
        else:
            order = np.argsort(start_s, kind="stable")
            at = spans_to_frames(start_s[order], end_s[order], time_s)
            rows = WordsOnFrames(features.words[order], at)
    return {
        "text": rows,
        present("text"): rows.mask,
        WORD_TEXT: [word.text for word in words],
        WORD_START: start_s,
        WORD_END: end_s,
    }
