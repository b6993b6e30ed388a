"""Training of stage 2: windows a second of `fit`, against the published loop, and against bare steps in memory.

    python -m benchmarks.training [--quick] [--device cuda] [--json FILE]

Windows of a cache of random features of the paper's widths; the model is recipe maven's, its weights are random. Ours
is what `make train-beit` runs: `FeatureWindows`, `fit`, transformers' Trainer. The alternative is the published loop
(`benchmarks.published.training`). The limit is forward, backward, clipping and optimiser step on batches that lie on
the device. Each turn is the first epoch of each, from the same weights. Starting the loader is in it; loading the
model, validation, the log and the checkpoint at the epoch's end are not.
First of all, two steps without dropout must give the same losses on all three.
"""

from __future__ import annotations

import copy
import gc
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.alone import alone
from benchmarks.device_clock import epoch_watch, seconds_of
from benchmarks.measure import row
from benchmarks.row import Row
from benchmarks.training_cache import labelled_cache

OURS, PUBLISHED, LIMIT = "ours", "published loop", "bare steps in memory"

_CHECKED_STEPS = 2
_TOLERANCE = 1e-4


@dataclass(frozen=True)
class Size:
    """``frames`` of a window, windows of a batch, batches of an epoch, turns."""

    frames: int
    batch: int
    steps: int
    turns: int

    @property
    def windows(self) -> int:
        return self.batch * self.steps


#: On a CPU a step is seconds long, and what surrounds it doesn't show; on a GPU it takes many to show.
_CPU, _CPU_QUICK = Size(300, 4, 3, 3), Size(64, 8, 3, 3)
_GPU, _GPU_QUICK = Size(300, 16, 40, 5), Size(300, 16, 12, 3)


def rows(quick: bool, device: str) -> list[Row]:
    from common.device import torch_device

    place = torch_device(device)
    full, small = (_CPU, _CPU_QUICK) if place.type == "cpu" else (_GPU, _GPU_QUICK)
    size = small if quick else full
    with tempfile.TemporaryDirectory() as folder:
        ways = Ways(Path(folder), size, place)
        ways.check()
        costs = measured(ways)
    return [
        row(
            f"train stage 2, recipe maven's model, windows of {size.frames} frames, batches of {size.batch}, float32",
            "windows/s",
            costs,
            ours=OURS,
            alternatives={PUBLISHED: 3.0},
            limit=(LIMIT, 0.9),
            work=size.windows,
            why="A step is the model's own arithmetic for the most part, much of which both loops share.",
            note=f"{size.steps} steps a turn; checked: losses of {_CHECKED_STEPS} steps agree to {_TOLERANCE:g}.",
        )
    ]


def measured(ways: Ways) -> dict[str, list[float]]:
    """Seconds of an epoch, turn by turn, in alternation. `check` has warmed all of them up."""
    found = {OURS: ways.ours, PUBLISHED: ways.published, LIMIT: ways.limit}
    costs: dict[str, list[float]] = {name: [] for name in found}
    for turn in range(ways.size.turns):
        for name in list(found) if turn % 2 == 0 else list(found)[::-1]:
            gc.collect()
            costs[name].append(found[name]()[0])
    return costs


class Ways:
    """Three ways of training one model on the same windows.

    Parameters
    ----------
    folder : for the cache, the published files and the checkpoints
    changes : of the model, beside recipe maven
    """

    def __init__(self, folder: Path, size: Size, device: Any, **changes: Any) -> None:
        import torch

        from benchmarks.published.training import write_segments
        from common.recipe import Window, load_recipe
        from common.windows import FeatureWindows
        from stage2_beit.config import FusionConfig
        from stage2_beit.model import FusionModel

        self.folder, self.size, self.device = folder, size, device
        recipe = load_recipe("maven")
        self.settings = recipe.stage2.training.model_copy(update={"batch_size": size.batch, "epochs": 1})
        window = Window(frames=size.frames, hop_frames=size.frames)
        manifest = labelled_cache(folder, size.windows, size.frames)
        self.data = FeatureWindows(folder, manifest, manifest.of("train"), window)
        self.validation = FeatureWindows(folder, manifest, manifest.of("validation"), window)
        self.segments = folder / "segments"
        self.segments.mkdir()
        write_segments((self.data[index] for index in range(len(self.data))), self.segments)
        torch.manual_seed(recipe.seed)
        fusion = recipe.stage2.fusion.model_dump(exclude={"kind", "beit_model", "beit_revision", "standardise"})
        self.model = FusionModel(FusionConfig(**fusion | changes))

    def check(self) -> None:
        """Steps on one batch without dropout: the losses are the same.

        Raises
        ------
        AssertionError
            If they aren't.
        """
        from torch.utils.data import Subset

        kept = self.model
        self.model = without_dropout(kept)
        first = range(self.size.batch)
        found = {
            OURS: self.ours(Subset(self.data, first), _CHECKED_STEPS)[1],
            PUBLISHED: self.published(Subset(self.saved(), first), _CHECKED_STEPS)[1],
            LIMIT: self.limit(first, _CHECKED_STEPS)[1],
        }
        self.model = kept
        for name, losses in found.items():
            np.testing.assert_allclose(losses, found[LIMIT], rtol=_TOLERANCE, err_msg=f"{name}: other losses")

    def ours(self, data: Any = None, epochs: int = 1) -> tuple[float, list[float]]:
        """`fit`: seconds of the epochs alone, and their losses."""
        from common.training import fit
        from common.windows import collate

        watch = epoch_watch(self.device)
        checkpoints = self.folder / "checkpoints"
        fitted = fit(
            copy.deepcopy(self.model),
            self.data if data is None else data,
            self.validation,
            self.settings.model_copy(update={"epochs": epochs}),
            collate=collate,
            checkpoints=checkpoints,
            seed=0,
            device=str(self.device),
            say=lambda _: None,
            ignore=("refined", "attentions"),
            callbacks=[watch],
        )
        shutil.rmtree(checkpoints)
        return watch.seconds, [row["loss"] for row in fitted.history]

    def published(self, data: Any = None, epochs: int = 1) -> tuple[float, list[float]]:
        """The same of the published loop."""
        from torch.utils.data import DataLoader

        from benchmarks.published.training import PublishedFusion, padded, train_epoch

        model = PublishedFusion(copy.deepcopy(self.model).to(self.device))
        optimiser = self._optimiser(model)
        data = self.saved() if data is None else data
        loader = DataLoader(data, batch_size=self.size.batch, shuffle=True, collate_fn=padded)
        clip_norm = self.settings.clip_norm
        return self._timed(lambda: train_epoch(model, loader, optimiser, clip_norm, self.device), epochs)

    def limit(self, windows: Sequence[int] | None = None, epochs: int = 1) -> tuple[float, list[float]]:
        """The same of bare steps on batches that lie on the device."""
        import torch

        from common.windows import collate

        model = copy.deepcopy(self.model).to(self.device).train()
        optimiser = self._optimiser(model)
        chosen = range(len(self.data)) if windows is None else windows
        batches = [
            {name: value.to(self.device) for name, value in collate([self.data[i] for i in part]).items()}
            for part in (chosen[at : at + self.size.batch] for at in range(0, len(chosen), self.size.batch))
        ]

        def epoch() -> float:
            total = torch.zeros((), device=self.device)
            for batch in batches:
                loss = model(**batch).loss
                loss.backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), self.settings.clip_norm)
                optimiser.step()
                optimiser.zero_grad()
                total += loss.detach()
            return float(total) / len(batches)

        return self._timed(epoch, epochs)

    def saved(self) -> Any:
        """The windows as the published loop reads them."""
        from benchmarks.published.training import Segments

        return Segments(self.segments)

    def _optimiser(self, model: Any) -> Any:
        import torch

        assert self.settings.optimiser == "adamw"
        return torch.optim.AdamW(
            model.parameters(), lr=self.settings.learning_rate, weight_decay=self.settings.weight_decay
        )

    def _timed(self, epoch: Callable[[], float], epochs: int) -> tuple[float, list[float]]:
        """Seconds of so many epochs, and what each returns."""
        losses: list[float] = []
        seconds = seconds_of(lambda: losses.extend(epoch() for _ in range(epochs)), self.device)
        return seconds, losses


def without_dropout(model: Any) -> Any:
    """A model of the same weights whose configuration says that nothing is dropped."""
    config = copy.deepcopy(model.config)
    config.dropout = config.head_dropout = 0.0
    plain = type(model)(config)
    plain.load_state_dict(model.state_dict())
    return plain


main = alone(rows)

if __name__ == "__main__":
    main()
