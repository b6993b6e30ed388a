"""What each ingredient of recipes/strong.yaml gives over maven's settings, on the embedded corpus.

    make embeddings RUN=ingredients
    python -m benchmarks.ingredients --seeds 5

takes about an hour on two cores. Both recipes keep their settings but for the sizes in EMBEDDED, which
are the same for all: twenty short clips and miniature encoders don't fill a network of MAVEN's size. Each line is
trained and scored with the same seeds; differences are paired over clips and seeds.
"""

from __future__ import annotations

import argparse
import fnmatch
from functools import partial
from pathlib import Path

import numpy as np

from common.bootstrap import interval, mean_ccc_draws
from common.manifest import Manifest, read_manifest
from common.recipe import Recipe, load_recipe
from stage3_mlp.outcome import outcome_of
from stage3_mlp.scoring import figures
from stage3_mlp.tables import in_lines, write_study
from studies.chain import Places, Scored
from studies.folds import train_folds
from studies.seeds import run_seeds, seed_recipes, summary

#: Sizes for the embedded corpus: clips of seven seconds. BEiT's weights fit no other width than 768.
EMBEDDED = (
    "stage2.window={frames: 32, hop_frames: 21}",
    "stage2.fusion.d_k=32",
    "stage2.fusion.heads=4",
    "stage2.fusion.d_proj=64",
    "stage2.fusion.beit_model=null",
    "stage2.fusion.beit_revision=null",
)

#: strong as it is meant: an ensemble.
FOLDED = "strong, ensemble of folds"

#: What takes one ingredient out of strong: these settings, with maven's values.
INGREDIENTS = {
    "1 - CCC as loss": ("stage2.training.loss", "stage3.training.loss"),
    "modality dropout": ("stage2.fusion.modality_dropout",),
    "dropout": ("stage2.fusion.dropout",),
    "temporal encoder": ("stage2.fusion.temporal_layers",),
    "angle as a direction": ("stage3.head.angle",),
    "short pooling": ("stage3.head.pool_frames",),
    "smoothing": ("stage3.smoothing.kind",),
    "learning rate and plateau": (
        "stage2.training.learning_rate",
        "stage3.training.learning_rate",
        "stage2.training.plateau",
        "stage3.training.plateau",
    ),
}


def value_of(recipe: Recipe, key: str) -> str:
    """A setting's value as ``--set`` takes it."""
    value: object = recipe.model_dump(mode="json")
    for part in key.split("."):
        value = value[part]  # type: ignore[index]
    return f"{key}={value}".replace("'", '"')


def variants() -> dict[str, Recipe]:
    """maven, strong, and strong without each ingredient."""
    maven, strong = (load_recipe(name, EMBEDDED) for name in ("maven", "strong"))
    found = {"maven": maven, "strong": strong, FOLDED: strong}
    for name, keys in INGREDIENTS.items():
        found[f"strong without {name}"] = load_recipe("strong", (*EMBEDDED, *(value_of(maven, key) for key in keys)))
    return found


def run_folds(recipe: Recipe, manifest: Manifest, folder: Path, number: int, places: Places) -> list[Scored]:
    """As `run_seeds`, but each seed is the ensemble of the recipe's folds."""
    runs = []
    for one in seed_recipes(recipe, number):
        where = folder / str(one.seed)
        _, predictions, _ = train_folds(one, manifest, where, places)
        metrics = {"seed": one.seed, **figures(predictions, one.seed)}
        runs.append(Scored(where, outcome_of(()), metrics, predictions))
        places.say(f"  {folder.name}, seed {one.seed}: CCC {metrics['ccc']['mean']:.4f}")
    return runs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--cache", type=Path, default=Path("cache"))
    parser.add_argument("--run", type=Path, default=Path("runs/ingredients"), help="holds stage 1's manifest.json")
    parser.add_argument("--only", nargs="+", default=["*"], help="names of variants, with wildcards")
    arguments = parser.parse_args()
    places = Places(arguments.cache, arguments.run, "cpu", partial(print, flush=True))
    manifest = read_manifest(arguments.run)
    chosen = {
        name: recipe
        for name, recipe in variants().items()
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in arguments.only)
    }
    runs = {}
    for name, recipe in chosen.items():
        train = run_folds if name == FOLDED else run_seeds
        runs[name] = train(recipe, manifest, arguments.run / name.replace(" ", "_"), arguments.seeds, places)
    drawn = mean_ccc_draws([[run.pairs for run in scored] for scored in runs.values()], 10_000)
    order = list(runs)
    rows = []
    for index, name in enumerate(order):
        against = "strong" if name.startswith("strong without") else "maven"
        row = {"variant": name, **summary(runs[name])}
        if against in runs and name != against:
            difference = drawn[index] - drawn[order.index(against)]
            low, high = interval(difference)
            means = [np.mean([run.metrics["ccc"]["mean"] for run in runs[one]]) for one in (name, against)]
            row |= {"against": against, "difference": float(means[0] - means[1]), "from": low, "to": high}
        else:
            row |= {"against": "", "difference": None, "from": None, "to": None}
        rows.append(row)
    write_study(arguments.run, "ingredients", rows, seeds=arguments.seeds, embedded=EMBEDDED)
    print("\n".join(in_lines(rows)))


if __name__ == "__main__":
    main()
