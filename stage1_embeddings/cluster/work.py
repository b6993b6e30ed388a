"""The work of one run, done by a Ray cluster: this process claims clips, hands them out, and keeps the books."""

from __future__ import annotations

import copy
import itertools
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from common.manifest import Clip, Failure
from common.partials import partial_name
from common.recipe import Stage1
from stage1_embeddings.books import Books
from stage1_embeddings.cluster.connection import Cluster, connect, share_of
from stage1_embeddings.cluster.crew import NAP_S, Crew
from stage1_embeddings.cluster.station import Errand, Outcome, code_here
from stage1_embeddings.orders import Orders
from stage1_embeddings.plan import FeaturePlan
from stage1_embeddings.source import Source
from stage1_embeddings.utterances import GATHERED

#: Clips that wait at a station, so that no decoder does.
_WAITING = 2

#: Folders of videos that a node is asked for before it begins.
_MOST_ROOTS = 20

#: A clip that nothing is in the cache of is identified where it is done: hashing videos is work for the nodes.
_UNREAD = Source("", 0, 0, "", "", None, None, None)


class ClusterWork:
    """Brings clips up to date as `stage1_embeddings.work.Work` does, on the cluster's nodes.

    Parameters
    ----------
    books : of a plan with an absolute ``cache``
    workers : int or None
        Processes that decode, at each station.
    """

    def __init__(self, books: Books, *, cluster: Cluster, device: str, workers: int | None) -> None:
        self._books, self._plan = books, books.plan
        self._cluster, self._device, self._decoders = cluster, device, workers

    def run(self, clips: Sequence[Clip]) -> None:
        """Do what is left to do of these clips; Ray isn't touched where nothing is.

        Raises
        ------
        UsageError
            If there is no cluster, or a node that isn't fit for the work.
        ModelError, OSError
            As in `Work.run`.
        """
        with self._books.opened(len(clips)):
            found: Orders[Clip] = Orders(self._books, lambda clip, _: clip, identify=self._source)
            orders = found.of(self._books.changed(clips))
            first = next((order for order in _patiently(orders) if order is not None), None)
            if first is not None:
                self._by_cluster(clips, itertools.chain([first], orders))

    def _by_cluster(self, clips: Sequence[Clip], orders: Iterator[Clip | None]) -> None:
        # Named as what is half-written is: what a killed process leaves, the next one removes.
        mark = self._plan.folder / partial_name("cluster")
        ray = connect(self._cluster.address)
        try:
            mark.touch()
            nodes = ray.nodes()
            share = share_of(nodes, self._device, self._cluster.gpus, self._decoders)
            alone = share.cpus if share.gpus else max(1, share.cpus // 2)  # without a GPU, encoding needs CPUs as well
            decoders = alone if self._decoders is None else self._decoders
            in_hand = GATHERED if any(clip.utterances for clip in clips) else max(1, decoders) + _WAITING
            alive = sum(bool(node["Alive"]) for node in nodes)
            self._books.progress.note(
                f"Stage 1: {alive} node(s) of the Ray cluster; encoders with {share.cpus} CPU(s)"
                + (f" and {share.gpus:g} GPU each" if share.gpus else " each, no GPU")
            )
            errand = Errand(
                plan=_absolute(self._plan),
                device=self._device,
                workers=decoders,
                retry_failed=self._books.retry_failed,
                mark=mark,
                roots=_roots(self._plan, clips),
                code=code_here(),
                command=tuple(sys.argv),
            )
            crew = Crew(ray, errand, self._cluster, share, in_hand, self._books.progress.note)
            try:
                for clip, outcome in crew.do(orders):
                    self._gather(clip, outcome)
            finally:
                for clip, done in crew.close():
                    self._gather(clip, done)
        finally:
            ray.shutdown()
            mark.unlink(missing_ok=True)

    def _source(self, clip: Clip) -> Source:
        plan = self._plan
        known = plan.path(clip).exists() or plan.index_path(clip).exists() or self._books.quarantine.holds(clip.id)
        return plan.source(clip, fetch=False) if known or clip.utterances else _UNREAD

    def _gather(self, clip: Clip, outcome: Outcome | Failure) -> None:
        books = self._books
        if isinstance(outcome, Failure):
            books.fail(clip, outcome, None, lasting=False)
            return
        tally = outcome.tally
        lines = outcome.log
        if not lines:  # all of it was done when its node was lost, but for the news of it
            failed = [("failed", {"problem": one.problem, "cure": one.cure}) for one in tally.failures]
            lines = tuple(failed) or (("done", {"how": "done before its node was lost"}),)
            tally.computed = len(tally.done)
        for what, details in lines:
            books.log.add(clip.id, what, **details)
        books.tally.add(tally)
        books.progress.frames(clip.id, sum(entry.frames for entry in tally.done.get(clip.id, ())))
        books.over(clip, outcome.text, quiet=outcome.quiet)


def _patiently(orders: Iterator[Clip | None]) -> Iterator[Clip | None]:
    for order in orders:
        if order is None:
            time.sleep(NAP_S)
        yield order


def _absolute(plan: FeaturePlan) -> FeaturePlan:
    """The plan with models where every node finds them; its fingerprints are what they were."""
    sent = copy.copy(plan)
    sent.settings = _settings(plan.settings)
    sent.resolved = {
        modality: replace(found, folder=found.folder.absolute() if found.folder else None)
        for modality, found in plan.resolved.items()
    }
    return sent


def _settings(settings: Stage1) -> Stage1:
    weights, model = settings.faces.weights, Path(settings.speech.model).expanduser()
    faces = settings.faces.model_copy(update={"weights": weights.absolute() if weights else None})
    speech = settings.speech.model_copy(update={"model": str(model.absolute())}) if model.exists() else settings.speech
    return settings.model_copy(update={"faces": faces, "speech": speech})


def _roots(plan: FeaturePlan, clips: Sequence[Clip]) -> tuple[Path, ...]:
    """Folders of videos and of models that every node must see."""
    videos = dict.fromkeys(clip.source.parent for clip in clips if not clip.utterances)
    models = [found.folder.absolute() for found in plan.resolved.values() if found.folder is not None]
    there = [folder for folder in itertools.islice(videos, _MOST_ROOTS) if folder.exists()]
    return (*there, *models)
