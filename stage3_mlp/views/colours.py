"""Colours of face tracks, in the page and in the overlay: after Okabe and Ito, told apart by colour-blind people.

Each has a value for light grounds and one for dark ones, with a contrast of 3 or more against the cards of the pages.
"""

from __future__ import annotations

from typing import Final

#: Of the first track, the second, and so on; after the last, the first again. Vermilion is left to labels.
TRACKS: Final = ("#0072B2", "#009E73", "#CC79A7", "#BD7F00", "#1D2F6F", "#5C3B00")
#: The same on a dark ground.
TRACKS_DARK: Final = ("#42B4F4", "#14B486", "#E8A3CB", "#F0B030", "#C4E6FF", "#A07A2C")
#: What is annotated, on a light and on a dark ground.
LABELS: Final = "#D55E00"
LABELS_DARK: Final = "#F27C1E"


def track_colour(index: int) -> str:
    """``#rrggbb`` on a light ground of the track with this index, from 0."""
    return TRACKS[index % len(TRACKS)]


def track_property(index: int) -> str:
    """The name of the style property that `style_sheet` gives the colour of the track with this index, from 0."""
    return f"--track-{index % len(TRACKS) + 1}"


def style_sheet() -> str:
    """The colours as style properties: those of the tracks and ``--labels``, for light and dark and for paper."""
    light, dark = _properties(TRACKS, LABELS), _properties(TRACKS_DARK, LABELS_DARK)
    return (
        f":root, .printing {{ {light} }}\n@media (prefers-color-scheme: dark) {{ :root:not(.printing) {{ {dark} }} }}\n"
    )


def _properties(tracks: tuple[str, ...], labels: str) -> str:
    named = [f"{track_property(index)}: {colour};" for index, colour in enumerate(tracks)]
    return " ".join([*named, f"--labels: {labels};"])
