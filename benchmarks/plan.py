"""What a data set costs on a GPU: arithmetic, nothing is measured. docs/performance.md says where its numbers are from.

python -m benchmarks.plan [--frames 3000000] [--cores 16] [--peak-tflops 989]
python -m benchmarks.plan --videos 60000     of very many: hours, bytes, files, dollars (docs/scaling.md)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import click

#: Multiply-adds: Swin-base on a frame of 224 px; HuBERT-base on a second of sound, convolutions and transformer.
SWIN_MACS = 15.4e9
HUBERT_MACS = 6.9e9
#: Aff-Wild2's rate for the arithmetic of sound.
RATE_HZ = 30
#: Of a tensor core's peak: Swin-base forward on an H200, measured by `benchmarks.stage1`; what good kernels reach.
SHARES = (0.09, 0.33)
#: A frame of 640 x 360 in the front end, milliseconds of one core: measured by `benchmarks.front_end`.
FRONT_END_MS = 2.7
#: A frame in the cache, and refined, as files: measured by `benchmarks.cache`; 768 float32 and what lies beside them.
CACHED_BYTES, REFINED_BYTES = 5_210, 3_100
#: Windows of 300 frames that one process reads a second: measured by `benchmarks.windows`.
WINDOWS_HZ = 1000
#: maven's window and hop, and the share of frames that have labels to train on (Aff-Wild2: 1.68 of 2.99 million).
WINDOW, HOP, TRAINED = 300, 200, 0.56


@dataclass(frozen=True)
class Card:
    """A GPU: its name, its peak in bfloat16 without sparsity, operations a second."""

    name: str
    peak: float


CARDS = (Card("H200", 989e12), Card("24 GB (RTX 4090)", 165e12))


def fusion_macs(frames: int = WINDOW) -> float:
    """Multiply-adds per frame of maven's stage 2 in a window of ``frames``, forward (eq. 13-25)."""
    widths, d_k, d_proj, blocks = (1024, 768, 768), 256, 768, 2
    projections = sum(2 * d * d_k + d * d for d in widths)
    paths = 6 * frames * d_k + 2 * frames * sum(widths)
    within = sum(4 * d * d + 2 * frames * d for d in widths)
    block = 2 * d_proj**2 + 2 * frames * d_proj + 8 * d_proj**2  # W and W', v' and the weighted sum, the MLP
    return projections + paths + within + sum(widths) * d_proj + blocks * block


def lines(card: Card, frames: float, cores: int) -> Iterator[tuple[str, str]]:
    """What there is to say of a data set of so many frames on a card beside so many cores."""
    work = frames * SWIN_MACS + frames / RATE_HZ * HUBERT_MACS
    rates = [share * card.peak * frames / (2 * work) for share in SHARES]
    feed = cores * 1000 / FRONT_END_MS
    yield "stage 1, encoders", f"{rates[0]:,.0f} to {rates[1]:,.0f} frames/s: {_span(frames / rate for rate in rates)}"
    yield "  cores that keep it busy", " to ".join(f"{rate * FRONT_END_MS / 1000:.1f}" for rate in rates)
    yield f"  with {cores} cores", f"{feed:,.0f} frames/s: {_time(frames / feed)}, if the encoders are faster"
    yield "cache, refined features", f"{frames * CACHED_BYTES / 1e9:.1f} GB, {frames * REFINED_BYTES / 1e9:.1f} GB"
    windows = frames * TRAINED / HOP
    epoch = 3 * 2 * fusion_macs() * windows * WINDOW  # backward costs twice the forward
    yield "stage 2, an epoch", _span(epoch / (share * card.peak) for share in SHARES)
    yield "  tanh or divisions", f"{2 * 4 * windows * WINDOW**2 * 768:.1e}"
    bytes_read = windows * WINDOW * CACHED_BYTES
    yield "  read", f"{bytes_read / 1e9:.1f} GB, {windows / WINDOWS_HZ:.0f} s in one process"


def _span(seconds: Iterator[float]) -> str:
    slow, fast = seconds
    return f"{_time(fast)} to {_time(slow)}"


def _time(seconds: float) -> str:
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.1f} s"


def text(frames: float, cores: int, cards: tuple[Card, ...] = CARDS) -> str:
    """The lines of each card."""
    found = []
    for card in cards:
        found.append(f"{card.name}, {cores} cores, {frames / 1e6:g} million frames")
        found += [f"  {what:34}{value}" for what, value in lines(card, frames, cores)]
    return "\n".join(found)


@click.command(help=__doc__)
@click.option("--frames", default=3_000_000, show_default=True)
@click.option("--cores", default=16, show_default=True)
@click.option("--peak-tflops", type=float, default=None, help="Of another card, in bfloat16 without sparsity.")
@click.option("--videos", multiple=True, type=click.IntRange(min=1), help="Of so many videos; a column for each.")
def main(frames: int, cores: int, peak_tflops: float | None, videos: tuple[int, ...]) -> None:
    if videos:
        from benchmarks.plan_videos import table

        click.echo(table(videos))
        return
    cards = CARDS if peak_tflops is None else (Card("this card", 1e12 * peak_tflops),)
    click.echo(text(frames, cores, cards))


if __name__ == "__main__":
    main()
