"""Run the real command lines in this process, and read what they leave."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from stage1_embeddings.cli import main as stage1
from stage2_beit.cli import main as stage2
from stage3_mlp.cli import main as stage3
from tests.conftest import SMALL


@dataclass(frozen=True)
class Chain:
    """One data set with its cache and run, and the commands over them."""

    data: Path
    cache: Path
    run: Path

    def _call(self, group: Any, *arguments: str, settings: tuple[str, ...] | None = None) -> Result:
        sets = [part for setting in settings or () for part in ("--set", setting)]
        recipe = ["--recipe", "demo", *sets] if settings is not None else []
        places = ["--cache", str(self.cache), "--run", str(self.run), "--device", "cpu"]
        return CliRunner().invoke(group, [*arguments, *recipe, *places])

    def embeddings(self, *settings: str, data: Path | str | None = None, flags: tuple[str, ...] = ()) -> Result:
        source = ("--data", str(data or self.data))
        return self._call(stage1, "extract", "--workers", "0", *source, *flags, settings=(*SMALL, *settings))

    def train_beit(self, *settings: str) -> Result:
        return self._call(stage2, "train", settings=(*SMALL, *settings))

    def export(self) -> Result:
        return self._call(stage2, "export")

    def train_mlp(self, *settings: str) -> Result:
        return self._call(stage3, "train", settings=(*SMALL, *settings))

    def test(self) -> Result:
        return self._call(stage3, "test", "--no-video")

    def all(self, *settings: str) -> list[Result]:
        return [
            self.embeddings(*settings),
            self.train_beit(*settings),
            self.export(),
            self.train_mlp(*settings),
            self.test(),
        ]

    def manifest(self) -> dict[str, Any]:
        return json.loads((self.run / "manifest.json").read_text())

    def features(self, clip: str) -> Path:
        return self.cache / self.manifest()["folder"] / f"{clip}.h5"

    def metrics(self) -> dict[str, Any]:
        return json.loads((self.run / "test" / "metrics.json").read_text())

    def predictions(self) -> list[dict[str, str]]:
        with (self.run / "test" / "predictions.csv").open(newline="") as file:
            return list(csv.DictReader(file))
