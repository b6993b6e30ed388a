"""Whose face a clip is about."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from drawn_people import LANDMARKS

from common.errors import UsageError
from stage1_embeddings.faces.detect import Face
from stage1_embeddings.faces.tracking import Tracked, select


def one_at(number: int, x: float, size: float = 50) -> Tracked:
    box = np.array([x - size / 2, 50, size, size], np.float32)
    return Tracked(number, Face(box, (box[:2] + LANDMARKS * size).astype(np.float32), 0.9), True)


class TestChoice:
    def chosen(self, policy: str, film: Sequence[Sequence[Tracked]]) -> list[int | None]:
        choose = select(policy)
        return [one.track if (one := choose(faces, 320)) else None for faces in film]

    def test_largest_stays_with_the_person(self) -> None:
        film = [[one_at(2, 200, 50 + 10 * i), one_at(1, 80, 70)] for i in range(6)]
        assert self.chosen("largest", film) == [1] * 6
        assert self.chosen("largest", [*film, [film[0][0]], [], film[0], film[-1]]) == [1] * 6 + [2, None, 1, 1]

    def test_sides_of_two(self) -> None:
        film = [[one_at(1, 220), one_at(2, 90), one_at(3, 20, 10)]] * 3
        assert self.chosen("left", film) == [2] * 3
        assert self.chosen("right", film) == [1] * 3

    def test_two_who_change_places_stay_who_they_are(self) -> None:
        film = [[one_at(1, 60 + 20 * i), one_at(2, 250 - 20 * i)] for i in range(10)]
        assert self.chosen("left", film) == [1] * 10
        assert self.chosen("right", film) == [2] * 10

    def test_a_known_person_keeps_the_side_when_alone(self) -> None:
        film = [[one_at(1, 100), one_at(2, 250)]] * 3 + [[one_at(1, 200)], [], [one_at(2, 90)]]
        assert self.chosen("left", film) == [1, 1, 1, 1, None, None]
        assert self.chosen("right", film) == [2, 2, 2, None, None, 2]

    def test_a_lone_face_is_in_its_half(self) -> None:
        film = [[one_at(1, 100)], [one_at(1, 200)], [one_at(2, 161)], [one_at(2, 20)]]
        assert self.chosen("left", film) == [1, 1, None, None]
        assert self.chosen("right", film) == [None, None, 2, 2]

    def test_after_a_cut_the_sides_are_new(self) -> None:
        film = [[one_at(1, 100), one_at(2, 250)], [one_at(3, 250), one_at(4, 100)]]
        assert self.chosen("left", film) == [1, 4]

    def test_memory_is_bounded(self) -> None:
        choose = select("left")
        for number in range(1, 2000, 2):
            choose([one_at(number, 100), one_at(number + 1, 200)], 320)
            choose([one_at(5000 + number, 100)], 320)
        assert max(len(value) for value in vars(choose).values() if isinstance(value, dict)) <= 64

    @pytest.mark.parametrize("policy", ["all", "tallest"])
    def test_a_policy_that_does_not_choose(self, policy: str) -> None:
        with pytest.raises(UsageError, match=rf"faces\.policy '{policy}' doesn't choose one face\. Choose largest"):
            select(policy)
