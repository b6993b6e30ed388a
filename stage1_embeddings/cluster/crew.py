"""The stations of a run, and which clip each of them is at."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from common.errors import UsageError
from common.manifest import Clip, Failure
from common.reasons import reason_of
from stage1_embeddings.cluster.connection import Cluster, Share, room
from stage1_embeddings.cluster.station import Errand, Outcome, Station

#: How often it is asked for news where there is none, and how often nodes are counted.
NAP_S, _COUNT_EVERY_S = 0.2, 10.0

#: How long stations may take to put down what they have in hand.
_STOP_S = 15.0

#: So often a clip whose process has ended is begun again; Ray counts a lost node twice, sometimes thrice.
_TIMES = 8

_NODES = "The project, its .venv, DATA and CACHE must be there under the same path on every node."


@dataclass(eq=False)
class _Member:
    actor: Any
    in_hand: int = 0


class Crew:
    """Hands clips to stations, each as many as it can have in hand.

    Stations are actors that Ray places where there is room, and places again where their node is lost; then it makes
    their calls again. A station without further clips is let go, which makes room for those that wait for it.

    Parameters
    ----------
    ray : the connected module
    in_hand : clips that a station has at once
    note : gets a line where there is something to say
    """

    def __init__(
        self, ray: Any, errand: Errand, cluster: Cluster, share: Share, in_hand: int, note: Callable[[str], None]
    ) -> None:
        self._ray, self._cluster, self._share = ray, cluster, share
        self._in_hand, self._note = in_hand, note
        self._errand = errand
        self._actor = ray.remote(Station).options(
            num_cpus=share.cpus,
            num_gpus=share.gpus,
            max_restarts=-1,
            max_task_retries=_TIMES,
            max_concurrency=in_hand + 2,
            scheduling_strategy="SPREAD",
        )
        self._starting: dict[Any, _Member] = {}
        self._members: list[_Member] = []
        self._given: dict[Any, tuple[Clip, _Member]] = {}
        self._started = 0
        self._counted_s = float("-inf")
        self._told = False

    def do(self, clips: Iterator[Clip | None]) -> Iterator[tuple[Clip, Outcome | Failure]]:
        """Every clip and what became of it; clips are asked for when there is somebody to do them.

        Raises
        ------
        MavenError, OSError
            What would meet every clip.
        """
        more = True
        while more or self._given:
            if more:
                self._grow()
                more = self._hand_out(clips)
            if not more:
                self._let_go()
            for reference in self._news():
                if reference in self._starting:
                    member = self._starting.pop(reference)
                    self._arrived(reference)
                    self._members.append(member)
                else:
                    clip, member = self._given.pop(reference)
                    member.in_hand -= 1
                    yield clip, self._outcome(clip, reference)

    def close(self) -> list[tuple[Clip, Outcome]]:
        """Let all stations put down what they have in hand, and go; what they had done of it, if there is any."""
        going = [member.actor.stop.remote() for member in self._members]
        if going:
            self._ray.wait(going, num_returns=len(going), timeout=_STOP_S)
        for member in [*self._members, *self._starting.values()]:
            self._ray.kill(member.actor)
        self._members.clear()
        self._starting.clear()
        done = [(clip, self._done(reference)) for reference, (clip, _) in self._given.items()]
        self._given.clear()
        return [(clip, outcome) for clip, outcome in done if outcome is not None]

    def _done(self, reference: Any) -> Outcome | None:
        from ray.exceptions import RayError

        try:
            outcome: Outcome = self._ray.get(reference, timeout=0)
            return outcome
        except RayError:  # it was put down, or its node doesn't answer
            return None

    def _grow(self) -> None:
        """A station for each place there is, on nodes that have come since, too."""
        if time.monotonic() - self._counted_s < _COUNT_EVERY_S:
            return
        if self._starting and not self._members and not self._told:
            self._told = True
            self._note("Stage 1: Ray has placed no encoders yet; its nodes may be busy. Waiting for it.")
        self._counted_s = time.monotonic()
        wanted = self._cluster.encoders or room(self._ray.nodes(), self._share)
        for _ in range(self._started, wanted):
            actor = self._actor.remote(self._errand)
            self._starting[actor.ready.remote()] = _Member(actor)
            self._started += 1

    def _hand_out(self, clips: Iterator[Clip | None]) -> bool:
        """Give the next clips to those who have fewest; False where there is none left."""
        while True:
            member = min(self._members, key=lambda one: one.in_hand, default=None)
            if member is None or member.in_hand >= self._in_hand:
                return True
            try:
                clip = next(clips)
            except StopIteration:
                return False
            if clip is None:
                return True
            self._given[member.actor.do.remote(clip)] = clip, member
            member.in_hand += 1

    def _let_go(self) -> None:
        idle = [member for member in self._members if not member.in_hand]
        for member in [*idle, *self._starting.values()]:
            self._ray.kill(member.actor)
        self._members = [member for member in self._members if member.in_hand]
        self._starting.clear()

    def _news(self) -> list[Any]:
        references = [*self._given, *self._starting]
        if not references:
            time.sleep(NAP_S)
            return []
        self._ray.wait(references, num_returns=1, timeout=NAP_S)
        found, _ = self._ray.wait(references, num_returns=len(references), timeout=0)
        return list(found)

    def _arrived(self, reference: Any) -> None:
        from ray.exceptions import RayActorError, RayTaskError

        try:
            self._ray.get(reference)
        except RayTaskError as error:
            raise error.cause from None
        except RayActorError as error:
            raise UsageError(f"A node of the cluster can't begin: {_last_line(error)}.", _NODES) from error

    def _outcome(self, clip: Clip, reference: Any) -> Outcome | Failure:
        from ray.exceptions import RayError, RayTaskError

        try:
            outcome: Outcome = self._ray.get(reference)
            return outcome
        except RayTaskError as error:
            raise error.cause from None
        except RayError as error:
            problem = f"{clip.source}: the process that was at it ended again and again ({_last_line(error)})."
            cure = "If memory ran out, take fewer --workers; else try this clip alone, without ENGINE=ray."
            return Failure(clip.id, problem, cure)


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return reason_of((lines or [type(error).__name__])[-1])
