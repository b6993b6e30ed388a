"""Which clip is to be done next: found to be left to do, and claimed, before anything is computed for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from common.errors import DataError, MediaError
from common.manifest import Clip
from stage1_embeddings.books import Books
from stage1_embeddings.jobs import CLIP_ERRORS, ends_the_run, failure_of
from stage1_embeddings.source import Source

#: What is made of a clip that is to be done.
Order = TypeVar("Order")


@dataclass(frozen=True)
class _Busy:
    """Another process is at this clip, whose inputs are identified already."""

    source: Source


class Orders(Generic[Order]):
    """The clips of one run as its workers ask for them.

    Parameters
    ----------
    begin : callable
        Makes the order of a clip and its source; None where there is nothing to hand out. Where it raises, the clip
        has failed, and is in nobody's hands.
    identify : callable
        Finds a clip's source, without fetching anything.
    flush : callable
        Finishes what is half-done. Called before clips of other processes are waited for: or two processes could wait
        for each other's.
    """

    def __init__(
        self,
        books: Books,
        begin: Callable[[Clip, Source], Order | None],
        *,
        identify: Callable[[Clip], Source],
        flush: Callable[[], None] = lambda: None,
    ) -> None:
        self._books, self._plan = books, books.plan
        self._begin, self._identify, self._flush = begin, identify, flush

    def of(self, clips: Iterable[Clip | None]) -> Iterator[Order | None]:
        """The orders of these clips, of those that other processes are at last. None: nothing now, ask again."""
        later: list[tuple[Clip, Source]] = []
        for clip in clips:
            if clip is None:
                yield None
                continue
            order = self._started(clip)
            if isinstance(order, _Busy):
                later.append((clip, order.source))
            elif order is not None:
                yield order
        while later:
            self._flush()
            clip, source = later.pop(0)
            order = self._started(clip, source)
            if isinstance(order, _Busy):
                later.append((clip, source))
                yield None
            elif order is not None:
                yield order

    def _started(self, clip: Clip, source: Source | None = None) -> Order | _Busy | None:
        """The order of a clip; None where it is settled without one."""
        books = self._books
        try:
            source = source or self._identify(clip)
            text = books.settled(clip, source)
            if text is None and not books.claims.take(clip.id):
                return _Busy(source)
            if self._plan.videos.remote and not source.sha256:  # fetched by whoever has the clip
                source = self._plan.source(clip)
            # Another process may have done it a moment ago.
            text = text if text is not None else books.settled(clip, source)
            if text is None:
                return self._begin(clip, source)
            books.over(clip, text, quiet=not text)
            return None
        except CLIP_ERRORS as error:
            if ends_the_run(error):
                raise
            books.fail(clip, failure_of(clip, error), source, lasting=isinstance(error, DataError | MediaError))
            return None
