"""A table in the published format, with the label in its features or not."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from common.datasets.tables.spec import MELD_CLASSES

WIDTHS = {"V1": 512, "V3": 25, "V4": 25, "A2": 512}
HEADER = ("Dialogue_ID", "Utterance_ID", "Speaker", "Utterance", *WIDTHS, "Emotion")

#: Words that say nothing of the emotion.
_WORDS = "well you know I mean the thing is there we go again so what now".split()


def write_table(
    path: Path, *, informed: bool, dialogues_per_class: int = 8, utterances: int = 6, seed: int = 0, decimals: int = 3
) -> Path:
    """Write MELD's seven classes, each dialogue mostly of one; cells hold lists of numbers as strings.

    Parameters
    ----------
    informed : bool
        Each class has a direction of its own in every feature column; otherwise there is noise alone.
    """
    rng = np.random.default_rng(seed)
    directions = {name: rng.normal(size=(len(MELD_CLASSES), width)) for name, width in WIDTHS.items()}
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        for dialogue in range(dialogues_per_class * len(MELD_CLASSES)):
            for order in range(utterances):
                mostly = dialogue % len(MELD_CLASSES)
                label = mostly if order % 3 else int(rng.integers(len(MELD_CLASSES)))
                cells = []
                for name, width in WIDTHS.items():
                    row = rng.normal(size=width) + (directions[name][label] if informed else 0)
                    cells.append(str(np.round(row, decimals).tolist()))
                text = " ".join(rng.choice(_WORDS, size=int(rng.integers(2, 9))))
                speaker = ("Ann", "Björn", "O'Neil")[order % 3]
                writer.writerow((dialogue, order, speaker, text, *cells, MELD_CLASSES[label]))
    return path
