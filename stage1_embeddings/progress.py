"""What a run says while it works: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

#: Where there is no terminal, a long clip says that it is getting on once in so many seconds.
_LINE_EVERY_S = 60.0


class Progress:
    """Clips done, frames per second, what is left, and the clip in hand.

    Parameters
    ----------
    say : callable
        Gets plain lines.
    total : int
        Clips of this run.
    terminal : bool, optional
        Draw a bar (tqdm); by default where standard error is a terminal.
    """

    def __init__(self, say: Callable[[str], None], total: int, terminal: bool | None = None) -> None:
        self._say = say
        self._total = total
        self._finished = 0
        self._frames = 0
        self._began_s: float | None = None
        self._line_s = time.monotonic()
        self._bar: Any = None
        if sys.stderr.isatty() if terminal is None else terminal:
            from tqdm import tqdm

            self._bar = tqdm(total=total, unit="clip", dynamic_ncols=True, leave=False)

    def frames(self, clip: str, count: int) -> None:
        """So many more frames of ``clip`` are decoded."""
        now_s = time.monotonic()
        if self._began_s is None:
            self._began_s = now_s
        self._frames += count
        if self._bar is not None:
            self._bar.set_postfix_str(f"{self._rate(now_s)}, {clip}", refresh=False)
            self._bar.update(0)
        elif now_s - self._line_s >= _LINE_EVERY_S:
            self._line_s = now_s
            self._say(f"... {clip}: {self._frames} frames so far, {self._rate(now_s)}")

    def clip(self, text: str, *, quiet: bool = False) -> None:
        """One more clip is finished; ``quiet``: nothing to say about it on a terminal."""
        self._finished += 1
        if self._bar is not None:
            self._bar.update(1)
            if not quiet:
                self._bar.write(text, file=sys.stdout)
        elif text:
            self._line_s = time.monotonic()
            self._say(f"[{self._finished}/{self._total}] {text}")

    def note(self, text: str) -> None:
        """A line in between."""
        if self._bar is not None:
            self._bar.write(text, file=sys.stdout)
        else:
            self._say(text)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()

    def _rate(self, now_s: float) -> str:
        seconds = now_s - (self._began_s or now_s)
        return f"{self._frames / seconds:.0f} frames/s" if seconds > 0 else "starting"
