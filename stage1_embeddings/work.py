"""The clips in hand: decoded, encoded, and written, or failed with their reason."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from common.datasets import affwild2
from common.errors import DataError, MediaError
from common.manifest import Clip, Failure
from common.rows import Arrays
from common.schema import MODALITIES, Modality
from stage1_embeddings.batches import Batches, BatchFailed
from stage1_embeddings.books import Books
from stage1_embeddings.carried import carried_over, kept_crops
from stage1_embeddings.clip import ClipInHand
from stage1_embeddings.events import Broken, Ended, Event, Frames, Task
from stage1_embeddings.faces.kept import Keeper
from stage1_embeddings.hearing import Hearing
from stage1_embeddings.jobs import CLIP_ERRORS, Job, ends_the_run, failure_of, in_words
from stage1_embeddings.orders import Orders
from stage1_embeddings.picture import Picture
from stage1_embeddings.source import Source
from stage1_embeddings.tools import Tools
from stage1_embeddings.transcript import read_transcript
from stage1_embeddings.utterances import Gathered, UtterancesInHand
from stage1_embeddings.workers import supply
from stage1_embeddings.writing import write_clips

#: Clips that may wait for a full batch: each holds temporary files open.
_MOST_WAITING = 32


class Work:
    """Brings clips up to date in one folder of features.

    Parameters
    ----------
    books : Books
        What becomes of each clip is entered there.
    workers : int
        Processes that decode; 0 for none but this.
    """

    def __init__(self, books: Books, tools: Tools, *, workers: int) -> None:
        self.books = books
        self._plan, self._tools, self._workers = books.plan, tools, workers
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
        self.serve(self.books.changed(clips), len(clips))

    def serve(self, clips: Iterable[Clip | None], total: int) -> None:
        """`run` for clips that may come one by one; None: no clip now, ask again."""
        orders = Orders(
            self.books, self._begin, identify=lambda clip: self._plan.source(clip, fetch=False), flush=self.flush
        )
        with self.books.opened(total):
            try:
                for task, event in supply(orders.of(clips), self._workers, lambda: self._tools.detector_weights):
                    self.take(task, event)
                self.flush()
            finally:
                for job in self._jobs.values():
                    job.hand.close()

    @property
    def decodes(self) -> bool:
        """Is a clip in hand that isn't decoded to its end?"""
        return any(isinstance(job.hand, ClipInHand) and not job.hand.ended for job in self._jobs.values())

    def take(self, task: Task, event: Event) -> None:
        """What decoding has come to; the clip's part of it goes on to the encoders."""
        job = self._jobs.get(task.key)
        if job is None:
            return  # it failed before; what its worker still says is of no use
        if isinstance(event, Broken | Ended):
            self._plan.videos.drop(job.clip.source)
        if isinstance(event, Broken):
            failure = Failure(job.clip.id, self._plan.videos.named(event.problem), event.cure)
            self._fail(job, failure, lasting=event.lasting)
            return
        if isinstance(event, Frames):
            self.books.progress.frames(job.clip.id, len(event.time_s))
        assert isinstance(job.hand, ClipInHand)
        try:
            job.hand.take(event)
        except BatchFailed as failed:
            self._fail_batch(failed)
        except CLIP_ERRORS as error:
            if ends_the_run(error):
                raise
            self._fail(job, failure_of(job.clip, error), lasting=False)
        self._finish_complete()
        if len(self._jobs) > _MOST_WAITING:
            self.flush()

    def flush(self) -> None:
        """Encode what waits for a full batch."""
        for batches in (self._batches, self._texts):
            try:
                if batches is not None:
                    batches.flush()
            except BatchFailed as failed:
                self._fail_batch(failed)
        self._finish_complete()

    def _begin(self, clip: Clip, source: Source) -> Task | None:
        try:
            if not clip.utterances:
                return self._begin_video(clip, source)
            self._begin_utterances(clip, source)
            return None
        except Exception:
            self._put_down(clip)
            raise

    def _begin_utterances(self, clip: Clip, source: Source) -> None:
        """Nothing to decode: its texts join those of other clips on their way through the encoder."""
        carried = carried_over(self._plan, clip, source).get("text")
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

    def _begin_video(self, clip: Clip, source: Source) -> Task | None:
        plan, tools = self._plan, self._tools
        labels = affwild2.read_annotation(clip.annotation) if clip.annotation else None  # first: a fault costs nothing
        beside = read_transcript(source.transcript) if source.transcript else None
        tracks = plan.settings.faces.policy == "all"
        carried: dict[Modality, Arrays] = {} if tracks else carried_over(plan, clip, source)
        missing = tuple(modality for modality in MODALITIES if modality not in carried)
        tools.load(missing)
        kept = kept_crops(plan, clip, source) if "visual" in missing else None
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

    def _finish_complete(self) -> None:
        for job in [job for job in self._jobs.values() if job.hand.complete]:
            self._finish(job)

    def _finish(self, job: Job) -> None:
        """Write a clip whose rows are all here."""
        clip, source, books = job.clip, job.source, self.books
        try:
            written = write_clips(clip, source, job.hand, job.labels, self._plan)
        except CLIP_ERRORS as error:
            if ends_the_run(error):
                raise
            self._fail(job, failure_of(clip, error), lasting=isinstance(error, DataError | MediaError))
            return
        computed = f"computed {', '.join(job.missing)}"
        how = computed if job.missing else "carried over, labels read again"
        if written.mended:
            books.tally.mended.append(written.mended)
            how += f"; {written.mended}"
        heard = job.hand.heard
        if heard is not None and heard.filtered:
            books.tally.filtered += heard.filtered
            how += f"; {heard.filtered} stretch(es) of recognised text dropped as invented"
        books.tally.computed += 1
        books.quarantine.release(clip.id)
        books.log.add(clip.id, "done", how=how, seconds=round(time.monotonic() - job.began_s, 3))
        books.enter(clip, source.transcript, [self._plan.entry(clip, name, source) for name in written.arrays])
        self._put_down(clip)
        if clip.utterances:  # thousands of short clips: a line now and then
            books.progress.frames(clip.id, len(clip.utterances))
            books.over(clip, "", quiet=True)
            return
        words = "; ".join(f"{name}: {in_words(arrays)}" for name, arrays in written.arrays.items())
        books.over(clip, f"{words}; {how}", quiet=how == computed)

    def _fail(self, job: Job, failure: Failure, *, lasting: bool) -> None:
        self._put_down(job.clip)
        self.books.fail(job.clip, failure, job.source, lasting=lasting)

    def _fail_batch(self, failed: BatchFailed) -> None:
        """Every clip that had crops or texts in a batch lacks them now."""
        reason = failed.__cause__
        assert isinstance(reason, Exception)
        for job in list(self._jobs.values()):
            waiting = job.hand if isinstance(job.hand, UtterancesInHand) else job.hand.picture
            if waiting is not None and waiting.deliver in failed.delivers:
                self._fail(job, failure_of(job.clip, reason), lasting=False)

    def _put_down(self, clip: Clip) -> None:
        job = self._jobs.pop(clip.id, None)
        if job is not None:
            job.hand.close()
