"""What very many videos cost: arithmetic on top of plan.py, nothing is measured. docs/scaling.md says what is assumed.

python -m benchmarks.plan --videos 600 --videos 60000
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.plan import (
    CACHED_BYTES,
    CARDS,
    FRONT_END_MS,
    HUBERT_MACS,
    RATE_HZ,
    REFINED_BYTES,
    SHARES,
    SWIN_MACS,
    Card,
)

#: Aff-Wild2: 2,993,081 annotated rows in 594 files, 5,039 each.
FRAMES_PER_VIDEO = 5_000
#: A video of 640 x 360 and its sound.
VIDEO_BITS_PER_S = 1e6

#: Measured by `benchmarks.scaling`: bytes of a clip in the index, and in a manifest, as a file, read, and written.
INDEX_BYTES, MANIFEST_BYTES, READ_BYTES, WRITTEN_BYTES = 295, 270, 1_000, 2_700
#: Measured by `benchmarks.scaling`, microseconds of a core a clip: what is left to do; the list of a folder's videos.
LEFT_US, DATA_SET_US = 19, 15
#: Opening a clip file to see whether it is done, milliseconds: what it took without the index.
OPEN_MS = 5

#: Dollars; list prices of S3 Standard in us-east-1 as of 2024: a GB and month, a thousand PUT or LIST, a thousand GET.
STORED, PUT, GET = 0.023, 0.005, 0.0004
#: Names that one LIST gives.
LISTED = 1_000
#: Dollars an hour, assumed: an H200, a card of 24 GB, a core.
CARD_HOUR = {"H200": 3.5, "24 GB (RTX 4090)": 0.5}
CORE_HOUR = 0.04

#: GPUs of the wall times.
FLEETS = (8, 64, 512)


@dataclass(frozen=True)
class Scale:
    """Sizes of a data set of so many videos."""

    videos: int

    @property
    def frames(self) -> float:
        return float(self.videos * FRAMES_PER_VIDEO)

    @property
    def hours(self) -> float:
        return self.frames / RATE_HZ / 3600

    @property
    def core_hours(self) -> float:
        return self.frames * FRONT_END_MS / 3.6e6

    def gpu_hours(self, card: Card) -> list[float]:
        """Of the encoders, at the higher and at the lower share of the card's peak."""
        work = 2 * (self.frames * SWIN_MACS + self.frames / RATE_HZ * HUBERT_MACS)
        return [work / (share * card.peak) / 3600 for share in sorted(SHARES, reverse=True)]


def frames_per_s(card: Card) -> list[float]:
    """What a card's encoders take, at the lower and at the higher share of its peak."""
    return [Scale(1).frames / hours / 3600 for hours in reversed(Scale(1).gpu_hours(card))]


def feeding(card: Card) -> str:
    """What keeps one card busy."""
    rates = frames_per_s(card)
    read, write = ([rate * size for rate in rates] for size in (VIDEO_BITS_PER_S / 8 / RATE_HZ, CACHED_BYTES))
    cores = _span([rate * FRONT_END_MS / 1000 for rate in rates], "{:.1f}".format)
    speeds = [_span([size / 1e6 for size in sizes], "{:.0f}".format) for sizes in (read, write)]
    return (
        f"{card.name}: {_span(rates, _count)} frames/s, {cores} cores, "
        f"{speeds[0]} MB/s of videos, {speeds[1]} MB/s of features"
    )


def table(videos: Sequence[int]) -> str:
    """A column for each number of videos, as Markdown; below it what keeps a card busy."""
    scales = [Scale(count) for count in videos]
    head = [["", *(f"{scale.videos:,} videos" for scale in scales)], ["---"] * (len(scales) + 1)]
    body = [[what, *map(value, scales)] for what, value in _rows()]
    lines = ["| " + " | ".join(cells) + " |" for cells in (*head, *body)]
    return "\n".join([*lines, "", *(f"- One {feeding(card)}." for card in CARDS)])


def _rows() -> list[tuple[str, Callable[[Scale], str]]]:
    """What is said of each, and how."""
    h200 = CARDS[0]
    rows: list[tuple[str, Callable[[Scale], str]]] = [
        ("frames, hours of video", lambda one: f"{_count(one.frames)}, {_count(one.hours)} h"),
        ("videos to read", lambda one: _bytes(one.hours * 3600 * VIDEO_BITS_PER_S / 8)),
        *((f"encoders, hours of one {card.name}", _hours(card)) for card in CARDS),
        ("front end, hours of one core", lambda one: _count(one.core_hours)),
        *((f"wall time, {fleet} H200", _wall(h200, fleet)) for fleet in FLEETS),
        ("rent, H200 and cores", lambda one: _span([_rent(one, h200, hours) for hours in one.gpu_hours(h200)], _money)),
        (
            "features, refined features",
            lambda one: f"{_bytes(one.frames * CACHED_BYTES)}, {_bytes(one.frames * REFINED_BYTES)}",
        ),
        ("files, or objects", lambda one: _count(2.0 * one.videos)),
        ("store: a month", lambda one: _money(one.frames * (CACHED_BYTES + REFINED_BYTES) / 1e9 * STORED)),
        ("store: PUT of all, once", lambda one: _money(2 * one.videos / 1000 * PUT)),
        ("store: GET of all, LIST of all", lambda one: f"{_money(_gets(one))}, {_money(_lists(one))}"),
        ("index, manifest", lambda one: f"{_bytes(one.videos * INDEX_BYTES)}, {_bytes(one.videos * MANIFEST_BYTES)}"),
        (
            "memory: manifest read, written",
            lambda one: f"{_bytes(one.videos * READ_BYTES)}, {_bytes(one.videos * WRITTEN_BYTES)}",
        ),
        ("what is left: the index", lambda one: _time(one.videos * LEFT_US / 1e6)),
        ("  and the list of videos before it", lambda one: _time(one.videos * DATA_SET_US / 1e6)),
        ("  by opening each file", lambda one: _time(one.videos * OPEN_MS / 1e3)),
    ]
    return rows


def _gets(one: Scale) -> float:
    return 2 * one.videos / 1000 * GET


def _lists(one: Scale) -> float:
    return 2 * one.videos / LISTED / 1000 * PUT


def _rent(one: Scale, card: Card, hours: float) -> float:
    return hours * CARD_HOUR[card.name] + one.core_hours * CORE_HOUR


def _hours(card: Card) -> Callable[[Scale], str]:
    return lambda one: _span(one.gpu_hours(card), _count)


def _wall(card: Card, fleet: int) -> Callable[[Scale], str]:
    return lambda one: _span([3600 * hours / fleet for hours in one.gpu_hours(card)], _time)


def _span(values: Sequence[float], shown: Callable[[float], str]) -> str:
    return " to ".join(map(shown, values))


def _count(value: float) -> str:
    """Three digits that count: 0.08, 12.5, 3,480, 5 million."""
    for size, word in ((1e9, " billion"), (1e6, " million")):
        if value >= size:
            return f"{value / size:.3g}{word}"
    return f"{value:.2g}" if value < 10 else f"{value:,.0f}"


def _bytes(size: float) -> str:
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if size < 999.5:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} PB"


def _time(seconds: float) -> str:
    for unit, length in (("days", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:,.1f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.2g} s"


def _money(dollars: float) -> str:
    return f"${dollars:,.0f}" if dollars >= 10 else f"${dollars:.2f}" if dollars >= 0.01 else "under $0.01"
