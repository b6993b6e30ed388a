"""The work of one run: each clip claimed, decoded, encoded, written, or set aside with its reason."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from common.clip_log import ClipLog
from common.datasets import affwild2
from common.errors import CacheError, DataError, MavenError, MediaError
from common.manifest import CachedClip, Clip, Failure
from common.rows import Arrays
from common.schema import MODALITIES, Modality
from stage1_embeddings.batches import Batches, BatchFailed
from stage1_embeddings.claims import Claims
from stage1_embeddings.clip import ClipInHand
from stage1_embeddings.events import Broken, Ended, Event, Frames, Task
from stage1_embeddings.faces.kept import Keeper
from stage1_embeddings.hearing import Hearing
from stage1_embeddings.jobs import Job, Tally, ends_the_run, failure_of, in_words
from stage1_embeddings.picture import Picture
from stage1_embeddings.plan import FeaturePlan
from stage1_embeddings.progress import Progress
from stage1_embeddings.quarantine import Quarantine
from stage1_embeddings.source import Source
from stage1_embeddings.tools import Tools
from stage1_embeddings.transcript import read_transcript
from stage1_embeddings.unchanged import unchanged
from stage1_embeddings.utterances import Gathered, UtterancesInHand
from stage1_embeddings.workers import supply
from stage1_embeddings.writing import write_clips

#: What is made of a clip that is to be done.
Order = TypeVar("Order")

#: Clips that may wait for a full batch: each holds temporary files open.
_MOST_WAITING = 32

#: What a single clip can do wrong; whatever it is, the others go on.
CLIP_ERRORS = (MavenError, OSError, RuntimeError, ValueError)


@dataclass(frozen=True)
class _Busy:
    """Another process is at this clip, whose inputs are identified already."""

    source: Source


class Work:
    """Brings clips up to date in one folder of features.

    Parameters
    ----------
    workers : int
        Processes that decode; 0 for none but this.
    retry_failed : bool
        Try clips again that were set aside.
    """

    def __init__(
        self, plan: FeaturePlan, tools: Tools, say: Callable[[str], None], *, workers: int, retry_failed: bool
    ) -> None:
        self.tally = Tally()
        self._plan, self._tools, self._say = plan, tools, say
        self._workers, self._retry_failed = workers, retry_failed
        plan.index.keep()
        self._claims = Claims(plan.folder)
        self._quarantine = Quarantine(plan.folder)
        self._log = ClipLog(plan.folder)
        self._jobs: dict[str, Job] = {}
        self._batches: Batches | None = None
        self._texts: Batches | None = None

    def run(self, clips: Sequence[Clip]) -> None:
        """Do what is left to do of these clips.

        Raises
        ------
        ModelError, UsageError, OSError
            What is the same for every clip: a model that can't be had, a setting that can't be, a full disk.
        """
        self._serve(self._changed(clips), len(clips))

    def _serve(self, clips: Iterable[Clip | None], total: int) -> None:
        """`run` for clips that may come one by one; None: no clip now, ask again."""
        self._progress = Progress(self._say, total)
        tasks = self._orders(clips, self._begin)
        try:
            for task, event in supply(tasks, self._workers, lambda: self._tools.detector_weights):
                self._take(task, event)
            self._flush()
        finally:
            for job in self._jobs.values():
                job.hand.close()
            self._claims.release_all()
            self._plan.index.close()
            self._progress.close()

    def look(self, clip: Clip) -> bool:
        """Enter a clip into the tally if it is done or set aside; whether it is. Computes nothing."""
        try:
            for _, record in unchanged(self._plan, [clip]):
                if record is not None:
                    self._enter(clip, record.transcript, [record.entry(clip)])
                    return True
            return self._settled(clip, self._plan.source(clip, fetch=False)) is not None
        except (MavenError, OSError) as error:
            self.tally.failures.append(failure_of(clip, error))
            return True

    def _changed(self, clips: Sequence[Clip]) -> Iterator[Clip]:
        """The clips that a look at the folders doesn't show to be done; those are entered into the tally."""
        for clip, record in unchanged(self._plan, clips):
            if record is None:
                yield clip
            else:
                self._enter(clip, record.transcript, [record.entry(clip)])
                self._progress.clip("", quiet=True)

    def _orders(
        self, clips: Iterable[Clip | None], begin: Callable[[Clip, Source], Order | None]
    ) -> Iterator[Order | None]:
        """What ``begin`` makes of each clip that is to be done, once it is claimed; None: nothing now, ask again."""
        later: list[tuple[Clip, Source]] = []
        for clip in clips:
            if clip is None:
                yield None
                continue
            order = self._started(clip, begin)
            if isinstance(order, _Busy):
                later.append((clip, order.source))
            elif order is not None:
                yield order
        while later:
            self._flush()  # or two processes could wait for each other's clips
            clip, source = later.pop(0)
            order = self._started(clip, begin, source)
            if isinstance(order, _Busy):
                later.append((clip, source))
                yield None
            elif order is not None:
                yield order

    def _started(
        self, clip: Clip, begin: Callable[[Clip, Source], Order | None], source: Source | None = None
    ) -> Order | _Busy | None:
        """What ``begin`` makes of a clip that is to be done; None where it is settled without."""
        try:
            source = source or self._source(clip)
            text = self._settled(clip, source)
            if text is None and not self._claims.take(clip.id):
                return _Busy(source)
            if self._plan.videos.remote and not source.sha256:  # fetched by whoever has the clip
                source = self._plan.source(clip)
            # Another process may have done it a moment ago.
            text = text if text is not None else self._settled(clip, source)
            if text is None:
                return begin(clip, source)
            self._plan.videos.drop(clip.source)
            self._claims.release(clip.id)
            self._over(clip, text, quiet=not text)
            return None
        except CLIP_ERRORS as error:
            if ends_the_run(error):
                raise
            self._fail(clip, failure_of(clip, error), source, lasting=isinstance(error, DataError | MediaError))
            return None

    def _source(self, clip: Clip) -> Source:
        return self._plan.source(clip, fetch=False)

    def _settled(self, clip: Clip, source: Source) -> str | None:
        """Enter a clip into the tally if there is nothing to do for it, and say so; None where there is."""
        entries: list[CachedClip] = []
        try:
            entries = self._plan.done(clip, source)
        except CacheError as error:
            self._progress.note(f"{clip.id}: computed again, as {error.problem}")
        if entries:
            self._enter(clip, source.transcript, entries)
            return ""
        failure = None if self._retry_failed else self._quarantine.find(clip.id, self._plan.content(clip, source))
        if failure is None:
            return None
        self.tally.failures.append(failure)
        return f"{clip.id}: set aside before: {failure.problem}"

    def _begin(self, clip: Clip, source: Source) -> Task | None:
        return self._begin_utterances(clip, source) if clip.utterances else self._begun(clip, source)

    def _begin_utterances(self, clip: Clip, source: Source) -> Task | None:
        """Nothing to decode: its texts join those of other clips on their way through the encoder."""
        carried = self._plan.carried(clip, source).get("text")
        hand = UtterancesInHand(clip, self._tools, carried, self._plan.brought.features)
        missing: tuple[Modality, ...] = ("text",) if len(hand.texts) else ()
        self._jobs[clip.id] = Job(clip, source, missing, None, hand, time.monotonic())
        if missing:
            self._texts = self._texts or Batches(Gathered(self._tools.text))
            try:
                self._texts.add(hand.texts, hand.deliver)
            except BatchFailed as failed:
                self._fail_batch(failed)
        self._finish_complete()
        return None

    def _begun(self, clip: Clip, source: Source) -> Task | None:
        plan, tools = self._plan, self._tools
        labels = affwild2.read_annotation(clip.annotation) if clip.annotation else None  # first: a fault costs nothing
        beside = read_transcript(source.transcript) if source.transcript else None
        tracks = plan.settings.faces.policy == "all"
        carried: dict[Modality, Arrays] = {} if tracks else plan.carried(clip, source)
        missing = tuple(modality for modality in MODALITIES if modality not in carried)
        tools.load(missing)
        kept = plan.kept_crops(clip, source) if "visual" in missing else None
        keep = plan.settings.faces.keep_crops and kept is None
        picture = hearing = None
        if "visual" in missing:
            if self._batches is None:
                self._batches = Batches(tools.visual)
            picture = Picture(tools, self._batches, Keeper(tools.scratch) if keep else None)
        recognise = "text" in missing and beside is None and tools.recogniser is not None
        if "audio" in missing or recognise:
            hearing = Hearing(tools, encode="audio" in missing, recognise=recognise)
        hand = ClipInHand(tools, carried, beside, picture, hearing)
        job = Job(clip, source, missing, labels, hand, time.monotonic())
        self._jobs[clip.id] = job
        if picture is None and hearing is None:
            hand.ended = True
            self._finish(job)
            return None
        return Task(
            key=clip.id,
            source=plan.videos.fetch(clip.source),
            crops=clip.crops,
            kept=kept,
            faces=plan.faces(clip),
            least_frames=len(labels) if labels is not None else 0,
            picture=picture is not None,
            sound=hearing is not None,
            keep=keep,
            decode=plan.settings.decode,
        )

    def _take(self, task: Task, event: Event) -> None:
        job = self._jobs.get(task.key)
        if job is None:
            return  # it failed before; what its worker still says is of no use
        if isinstance(event, Broken | Ended):
            self._plan.videos.drop(job.clip.source)
        if isinstance(event, Broken):
            failure = Failure(job.clip.id, self._plan.videos.named(event.problem), event.cure)
            self._fail(job.clip, failure, job.source, lasting=event.lasting)
            return
        if isinstance(event, Frames):
            self._progress.frames(job.clip.id, len(event.time_s))
        assert isinstance(job.hand, ClipInHand)
        try:
            job.hand.take(event)
        except BatchFailed as failed:
            self._fail_batch(failed)
        except CLIP_ERRORS as error:
            if ends_the_run(error):
                raise
            self._fail(job.clip, failure_of(job.clip, error), job.source, lasting=False)
        self._finish_complete()
        if len(self._jobs) > _MOST_WAITING:
            self._flush()

    def _flush(self) -> None:
        for batches in (self._batches, self._texts):
            try:
                if batches is not None:
                    batches.flush()
            except BatchFailed as failed:
                self._fail_batch(failed)
        self._finish_complete()

    def _fail_batch(self, failed: BatchFailed) -> None:
        """Every clip that had crops or texts in a batch lacks them now."""
        reason = failed.__cause__
        assert isinstance(reason, Exception)
        for job in list(self._jobs.values()):
            waiting = job.hand if isinstance(job.hand, UtterancesInHand) else job.hand.picture
            if waiting is not None and waiting.deliver in failed.delivers:
                self._fail(job.clip, failure_of(job.clip, reason), job.source, lasting=False)

    def _finish_complete(self) -> None:
        for job in [job for job in self._jobs.values() if job.hand.complete]:
            self._finish(job)

    def _finish(self, job: Job) -> None:
        """Write a clip whose rows are all here."""
        clip, source = job.clip, job.source
        try:
            written = write_clips(job.clip, source, job.hand, job.labels, self._plan)
        except CLIP_ERRORS as error:
            if ends_the_run(error):
                raise
            self._fail(clip, failure_of(clip, error), source, lasting=isinstance(error, DataError | MediaError))
            return
        how = f"computed {', '.join(job.missing)}" if job.missing else "carried over, labels read again"
        if written.mended:
            self.tally.mended.append(written.mended)
            how += f"; {written.mended}"
        heard = job.hand.heard
        if heard is not None and heard.filtered:
            self.tally.filtered += heard.filtered
            how += f"; {heard.filtered} stretch(es) of recognised text dropped as invented"
        self.tally.computed += 1
        self._quarantine.release(clip.id)
        self._log.add(clip.id, "done", how=how, seconds=round(time.monotonic() - job.began_s, 3))
        self._enter(clip, source.transcript, [self._plan.entry(clip, name, source) for name in written.arrays])
        self._close(job)
        if clip.utterances:  # thousands of short clips: a line now and then
            self._progress.frames(clip.id, len(clip.utterances))
            self._over(clip, "", quiet=True)
            return
        words = "; ".join(f"{name}: {in_words(arrays)}" for name, arrays in written.arrays.items())
        self._over(clip, f"{words}; {how}", quiet=how == f"computed {', '.join(job.missing)}")

    def _enter(self, clip: Clip, transcript: Path | str | None, entries: list[CachedClip]) -> None:
        """List a clip that is in the cache, and whether there is a transcript beside it."""
        self.tally.done[clip.id] = entries
        if not clip.utterances and not transcript and self._tools.settings.speech.recogniser == "none":
            self.tally.wordless += 1

    def _fail(self, clip: Clip, failure: Failure, source: Source | None, *, lasting: bool) -> None:
        self.tally.failures.append(failure)
        if lasting and source is not None:
            self._quarantine.put(failure, self._plan.content(clip, source))
        self._log.add(clip.id, "failed", problem=failure.problem, cure=failure.cure)
        self._plan.videos.drop(clip.source)
        job = self._jobs.get(clip.id)
        if job is not None:
            self._close(job)
        self._claims.release(clip.id)
        self._over(clip, f"{clip.id}: FAILED: {failure.problem}")

    def _over(self, clip: Clip, text: str, *, quiet: bool = False) -> None:
        """Nothing more is done about a clip; all that is known of it is in the tally."""
        self._progress.clip(text, quiet=quiet)

    def _close(self, job: Job) -> None:
        del self._jobs[job.clip.id]
        self._plan.videos.drop(job.clip.source)  # fetched, though nothing of it had to be decoded
        job.hand.close()
        self._claims.release(job.clip.id)
