"""The books of one run: what became of each clip, in the tally, in the log, and among what is set aside."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from common.clip_log import ClipLog
from common.errors import CacheError, MavenError
from common.manifest import CachedClip, Clip, Failure
from stage1_embeddings.claims import Claims
from stage1_embeddings.jobs import Tally, failure_of
from stage1_embeddings.plan import FeaturePlan
from stage1_embeddings.progress import Progress
from stage1_embeddings.quarantine import Quarantine
from stage1_embeddings.source import Source
from stage1_embeddings.unchanged import unchanged


class Books:
    """What is known of the clips of one run, for one folder of features.

    Parameters
    ----------
    retry_failed : bool
        Try clips again that were set aside.

    Attributes
    ----------
    tally : what this run did and found done
    claims : the clips that this process is at
    log, quarantine : beside the features
    progress : what is said meanwhile; there since `opened`
    """

    def __init__(self, plan: FeaturePlan, say: Callable[[str], None], *, retry_failed: bool) -> None:
        self.plan, self.retry_failed = plan, retry_failed
        self.tally = Tally()
        plan.index.keep()
        self.claims = Claims(plan.folder)
        self.quarantine = Quarantine(plan.folder)
        self.log = ClipLog(plan.folder)
        self._say = say

    @contextlib.contextmanager
    def opened(self, total: int) -> Iterator[None]:
        """While so many clips are worked on; then claims that are left are given back."""
        self.progress = Progress(self._say, total)
        try:
            yield
        finally:
            self.claims.release_all()
            self.plan.index.close()
            self.progress.close()

    def changed(self, clips: Sequence[Clip]) -> Iterator[Clip]:
        """The clips that a look at the folders doesn't show to be done; those are entered into the tally."""
        for clip, record in unchanged(self.plan, clips):
            if record is None:
                yield clip
            else:
                self.enter(clip, record.transcript, [record.entry(clip)])
                self.progress.clip("", quiet=True)

    def look(self, clip: Clip) -> bool:
        """Enter a clip into the tally if it is done or set aside; whether it is. Computes nothing."""
        try:
            for _, record in unchanged(self.plan, [clip]):
                if record is not None:
                    self.enter(clip, record.transcript, [record.entry(clip)])
                    return True
            return self.settled(clip, self.plan.source(clip, fetch=False)) is not None
        except (MavenError, OSError) as error:
            self.tally.failures.append(failure_of(clip, error))
            return True

    def settled(self, clip: Clip, source: Source) -> str | None:
        """Enter a clip into the tally if there is nothing to do for it, and what to say of it; None where there is."""
        entries: list[CachedClip] = []
        try:
            entries = self.plan.done(clip, source)
        except CacheError as error:
            self.progress.note(f"{clip.id}: computed again, as {error.problem}")
        if entries:
            self.enter(clip, source.transcript, entries)
            return ""
        failure = None if self.retry_failed else self.quarantine.find(clip.id, self.plan.content(clip, source))
        if failure is None:
            return None
        self.tally.failures.append(failure)
        return f"{clip.id}: set aside before: {failure.problem}"

    def enter(self, clip: Clip, transcript: Path | str | None, entries: list[CachedClip]) -> None:
        """List a clip that is in the cache, and whether there is a transcript beside it."""
        self.tally.done[clip.id] = entries
        if not clip.utterances and not transcript and self.plan.settings.speech.recogniser == "none":
            self.tally.wordless += 1

    def fail(self, clip: Clip, failure: Failure, source: Source | None, *, lasting: bool) -> None:
        """A clip failed. ``lasting``: set it aside, it would fail again."""
        self.tally.failures.append(failure)
        if lasting and source is not None:
            self.quarantine.put(failure, self.plan.content(clip, source))
        self.log.add(clip.id, "failed", problem=failure.problem, cure=failure.cure)
        self.over(clip, f"{clip.id}: FAILED: {failure.problem}")

    def over(self, clip: Clip, text: str, *, quiet: bool = False) -> None:
        """Let go of a clip, and say so: nothing more is done about it, all that is known of it is in the tally."""
        self.plan.videos.drop(clip.source)
        self.claims.release(clip.id)
        self.progress.clip(text, quiet=quiet)
