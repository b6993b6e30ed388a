"""Drawn people whose places are known, and a detector that knows them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import cv2
import numpy as np

from stage1_embeddings.faces.detect import Detector, Face

WIDTH, HEIGHT, SIDE = 320, 240, 60
LANDMARKS = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]])

#: Where each person is in a frame, the later ones in front; a person not in it is away.
Scene = dict[int, tuple[float, float]]


def texture(seed: int, height: int, width: int, cell: int = 6) -> np.ndarray:
    """Smooth blotches, so that motion can be followed."""
    coarse = np.random.default_rng(seed).integers(0, 200, (height // cell + 2, width // cell + 2, 3), dtype=np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def person(number: int) -> np.ndarray:
    return texture(100 + number, SIDE, SIDE)


def draw(scene: Scene, background: np.ndarray) -> np.ndarray:
    """People at subpixel places on a background."""
    picture = background.copy()
    for number, (x, y) in scene.items():
        shift = np.array([[1, 0, x], [0, 1, y]], np.float64)
        moved = cv2.warpAffine(person(number), shift, (WIDTH, HEIGHT))
        mask = cv2.warpAffine(np.ones((SIDE, SIDE), np.float32), shift, (WIDTH, HEIGHT))[..., None]
        picture = np.where(mask > 0.5, moved, picture).astype(np.uint8)
    return picture


class Seer(Detector):
    """Knows who is where in each frame, by the frame's number in its first pixel; counts what it is asked."""

    def __init__(self, scenes: Sequence[Scene]) -> None:
        self._scenes = scenes
        self.asked: list[int] = []

    def detect_all(self, frame: np.ndarray) -> list[Face]:
        index = int(frame[0, 0, 0])
        self.asked.append(index)
        return [square(*place) for place in visible(self._scenes[index])]


def visible(scene: Scene) -> list[tuple[float, float]]:
    """Places of those who aren't hidden behind another by more than half."""
    places = list(scene.values())
    return [
        place
        for i, place in enumerate(places)
        if all(abs(place[0] - x) > SIDE / 2 or abs(place[1] - y) > SIDE / 2 for x, y in places[i + 1 :])
    ]


def square(x: float, y: float) -> Face:
    box = np.array([x, y, SIDE, SIDE], np.float32)
    return Face(box, (box[:2] + LANDMARKS * SIDE).astype(np.float32), 0.9)


def video(
    scenes: Sequence[Scene], background: Callable[[int], int] = lambda index: 0
) -> Iterator[tuple[float, np.ndarray]]:
    """A film at 25 frames a second; ``background`` says which one a frame has."""
    for index, scene in enumerate(scenes):
        picture = draw(scene, texture(background(index), HEIGHT, WIDTH, cell=20))
        picture[0, 0] = index
        yield index / 25, picture


def moving(count: int, speed: float = 3.0) -> list[Scene]:
    return [{1: (20 + speed * i, 60 + 20 * np.sin(i / 5))} for i in range(count)]
