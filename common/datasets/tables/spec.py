"""Which columns of a table are what: the published tables' own names, or as a ``table.yaml`` says."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, field_validator, model_validator

from common.datasets.survey import Finding
from common.outside_text import shortened, yaml_of
from common.reasons import in_a_line
from common.recipe.section import Section
from common.schema import MODALITIES, Modality

#: The file that describes a table, and where it ends what DATA= may point at.
SPEC = "table.yaml"
SPEC_SUFFIXES = frozenset({".yaml", ".yml"})

#: The published order of classes.
MELD_CLASSES = ("anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise")
IEMOCAP_CLASSES = ("anger", "excitement", "fear", "frustration", "happiness", "neutral", "sadness", "surprise")

#: Columns of the published tables, which must all be there but the label, and how many numbers a cell has.
PUBLISHED = ("Utterance", "V1", "V3", "V4", "A2")
LABEL = "Emotion"
WIDTHS = {"V1": 512, "V3": 25, "V4": 25, "A2": 512}

#: May be there. The source names V2 nowhere but in its files: its width is that of its first row, and it comes last.
ALSO = "V2"

#: Columns that the published tables may have besides, without capitals, spaces, signs.
ROLES: dict[str, tuple[str, ...]] = {
    "dialogue": ("dialogueid", "dialogue", "dialogid", "dialog"),
    "order": ("utteranceid", "order"),
    "speaker": ("speaker",),
    "split": ("split", "set"),
    "session": ("session", "sessionid"),
}


#: No column or class has a longer name.
LONGEST_NAME = 200


@dataclass(frozen=True)
class Layout:
    """Which columns are what.

    Attributes
    ----------
    parts : modality to its columns, in the order in which they are joined
    label : str or None
    widths : column to how many numbers a cell has; a column not named has those of its first row
    utterance, dialogue, order, speaker, split, session : str or None
    classes : in their order; empty where the labels in the table decide
    known : labels that a table without ``classes`` may hold, in lower case; empty for any
    """

    parts: dict[Modality, tuple[str, ...]]
    label: str | None = None
    widths: dict[str, int] = field(default_factory=dict)
    utterance: str | None = None
    dialogue: str | None = None
    order: str | None = None
    speaker: str | None = None
    split: str | None = None
    session: str | None = None
    classes: tuple[str, ...] = ()
    known: tuple[str, ...] = ()

    def features(self) -> tuple[str, ...]:
        """All columns of features, modality by modality."""
        return tuple(column for columns in self.parts.values() for column in columns)

    def others(self) -> dict[str, str]:
        """The other columns, by what they are."""
        roles = ("utterance", "label", *ROLES)
        return {role: name for role in roles if (name := getattr(self, role)) is not None}

    def columns(self) -> tuple[str, ...]:
        return (*self.features(), *self.others().values())


class TableSpec(Section):
    """What ``table.yaml`` says."""

    file: str = Field(min_length=1, description="the table, relative to this file")
    visual: tuple[str, ...] = Field((), description="columns of numbers, joined in this order")
    audio: tuple[str, ...] = ()
    text: tuple[str, ...] = Field((), description="columns of text features computed before")
    utterance: str | None = Field(None, description="the column of what is said")
    label: str | None = Field(None, description="the column of emotions; none where they are to be predicted")
    classes: tuple[str, ...] = Field((), description="the emotions in their order; else those of the table, sorted")
    dialogue: str | None = None
    order: str | None = Field(None, description="the row's place in its dialogue; else that in the table")
    speaker: str | None = None
    split: str | None = Field(None, description="train, validation (dev, val) or test")
    session: str | None = Field(None, description="what must stay apart besides")

    @field_validator("visual", "audio", "text", mode="before")
    @classmethod
    def _one_is_a_list(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @field_validator("classes", mode="before")
    @classmethod
    def _classes_differ(cls, value: Any) -> Any:
        names = [folded(str(name)) for name in value] if isinstance(value, list | tuple) else []
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice or "" in names:
            raise ValueError(f"{', '.join(map(repr, twice)) or 'an empty name'} can't be told apart from another class")
        return [str(name) for name in value] if names else value

    @model_validator(mode="after")
    def _something_to_learn_from(self) -> TableSpec:
        features = (*self.visual, *self.audio, *self.text)
        if not features and self.utterance is None:
            raise ValueError("none of visual, audio, text, utterance names a column: there is nothing to learn from")
        twice = sorted({name for name in features if features.count(name) > 1})
        if twice:
            raise ValueError(f"{', '.join(twice)} is named twice among visual, audio and text")
        named = (*features, *filter(None, (self.utterance, self.label, *(getattr(self, role) for role in ROLES))))
        long = [name for name in (*named, *self.classes) if len(name) > LONGEST_NAME]
        if long:
            raise ValueError(f"{shortened(long[0])} is longer than {LONGEST_NAME} characters")
        if self.label in features:
            raise ValueError(f"{self.label} is the label, and among the features")
        return self

    def layout(self) -> Layout:
        parts = {modality: getattr(self, modality) for modality in MODALITIES if getattr(self, modality)}
        names = self.model_dump(include={"utterance", "label", "classes", *ROLES})
        return Layout(parts, **names)


def read_spec(path: Path) -> TableSpec | list[Finding]:
    """What a ``table.yaml`` says, or everything that is wrong with it."""
    try:
        values = yaml_of(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        return [Finding("refused", "descriptions", f"{path} isn't valid YAML: {error}.", "Correct it there.")]
    if not isinstance(values, dict):
        cure = "It says file:, label:, and which columns are audio:, visual:, text: or utterance:."
        return [Finding("refused", "descriptions", f"{path} holds {type(values).__name__}, not settings.", cure)]
    try:
        return TableSpec.model_validate(values)
    except ValidationError as error:
        return [_fault(path, fault) for fault in error.errors()]


def published_columns(names: Sequence[str]) -> list[str]:
    """The published tables' columns that are among these names."""
    there = set(map(plain, names))
    return [name for name in PUBLISHED if plain(name) in there]


def published_layout(names: Sequence[str]) -> Layout | list[str]:
    """The published tables' columns among these, or those that are missing.

    Names may differ in capitals, spaces and signs.
    """
    by_plain = {plain(name): name for name in reversed(names)}
    there = published_columns(names)
    if len(there) < len(PUBLISHED):
        return [name for name in PUBLISHED if name not in there]
    own = {name: by_plain[plain(name)] for name in PUBLISHED}
    also = [by_plain[plain(ALSO)]] if plain(ALSO) in by_plain else []
    roles: dict[str, Any] = {
        role: next((by_plain[name] for name in spelled if name in by_plain), None) for role, spelled in ROLES.items()
    }
    return Layout(
        parts={"visual": (own["A2"],), "audio": (own["V1"], own["V3"], own["V4"], *also)},
        widths={own[name]: width for name, width in WIDTHS.items()},
        utterance=own["Utterance"],
        label=by_plain.get(plain(LABEL)),
        known=tuple(sorted({*MELD_CLASSES, *IEMOCAP_CLASSES})),
        **roles,
    )


def plain(name: str) -> str:
    """A column's name without capitals, spaces and signs."""
    return re.sub(r"[\W_]", "", name.casefold())


def folded(label: str) -> str:
    """A label without what spellings of it differ in: capitals and spaces."""
    return " ".join(label.casefold().split())


def _fault(path: Path, fault: Any) -> Finding:
    key = ".".join(map(str, fault["loc"])) or "as a whole"
    message = {
        "extra_forbidden": "isn't a key of it",
        "missing": "is required",
    }.get(fault["type"], fault["msg"].removeprefix("Value error, "))
    value = (
        ""
        if fault["type"] in {"missing", "extra_forbidden"} or isinstance(fault["input"], dict)
        else (f" (it is {shortened(fault['input'])})")
    )
    return Finding("refused", "descriptions", f"{path}, {in_a_line(key, 80)}: {message}{value}.", f"Known: {_known()}.")


def _known() -> str:
    return ", ".join(TableSpec.model_fields)
