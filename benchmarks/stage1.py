"""Stage 1's frames per second beside the published way, and beside the visual encoder by itself.

    python -m benchmarks.stage1 [--quick] [--device cpu|cuda|mps] [--json FILE]

The whole stage starts its worker, decodes, detects, follows, aligns, encodes picture, sound and words, validates and
writes. The published way (benchmarks/published/embeddings.py) encodes the same crops, sound and words and is spared all
else. The limit is Swin's forward pass over the same crops, ready as tensors, in the stage's precision and batches.
Encoders have the real ones' sizes and random weights: what they cost doesn't depend on them.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from benchmarks.alone import alone
from benchmarks.row import Row

_WHY = (
    "In the stage's time, not in the limit's: workers that start, decode, find and cut out faces, the encoders of "
    "sound and words, writing. The note says how fast the limit is beside the published way: the stage can't be faster."
)


def rows(quick: bool, device: str) -> list[Row]:
    """A row with encoders of the real size and, unless it must be quick, one with the corpus' miniatures."""
    # Here, as a worker imports this file before it starts; the stage's own command is light as well.
    from benchmarks.stage1_encoders import base_encoders
    from benchmarks.stage1_ways import Bench, Size
    from common.datasets import open_dataset
    from common.device import has_bfloat16, torch_device
    from common.recipe import Precision
    from common.schema import MODALITIES
    from stage1_embeddings.encoders.miniature import miniature_folder

    place = torch_device(device)
    videos = [clip.source for clip in open_dataset(None, Path("cache"), lambda _: None).clips]
    precision: Precision = "bfloat16" if has_bfloat16(place.type) else "float32"
    if place.type == "cpu":  # whole batches: what the last one of a run is made up to isn't to be measured
        most, size = (1, Size(32, 16, turns=2)) if quick else (2, Size(160, 64, turns=2))
    else:  # an accelerator is done with one clip before a worker has started
        workers = max(1, min(8, (os.cpu_count() or 1) // 2))
        most, size = 20, Size(128, 64, turns=2 if quick else 5, workers=workers)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        large = Bench(folder / "base", videos[:most], base_encoders(folder), size, precision, device)
        what = "Swin-base, HuBERT-base, RoBERTa-base"
        found = [large.row(what, published=3.0, limit=0.95, why=_WHY)]
        if quick:
            return found
        del large
        small = {modality: miniature_folder(modality, folder) for modality in MODALITIES}
        bench = Bench(folder / "miniature", videos[:4], small, Size(192, 64, turns=5), "float32", device)
        return [*found, bench.row("miniature encoders", published=None, limit=None)]


main = alone(rows)

if __name__ == "__main__":
    main()
