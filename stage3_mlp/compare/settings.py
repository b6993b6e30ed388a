"""In what recipes differ: the settings that shape a result and aren't the same everywhere."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from common.recipe import Recipe

#: Shown on their own, or no setting at all.
_APART = frozenset({"name", "summary", "seed"})


def differing_settings(recipes: Sequence[Recipe]) -> dict[str, list[str]]:
    """The settings that differ between recipes.

    Settings that only change the speed are left out, and so are the name, the summary and the seed.

    Returns
    -------
    dict
        Dotted key, as ``--set`` takes it, to one value per recipe as text; "" where a recipe has no such setting. Keys
        of one section stand together.
    """
    flat = [_flat({k: v for k, v in recipe.shaping().items() if k not in _APART}) for recipe in recipes]
    keys = list(dict.fromkeys(key for settings in flat for key in settings))
    sections = list(dict.fromkeys(_section(key) for key in keys))
    keys.sort(key=lambda key: sections.index(_section(key)))  # one recipe's own keys would come last of all
    values = {key: [settings.get(key, "") for settings in flat] for key in keys}
    return {key: texts for key, texts in values.items() if len(set(texts)) > 1}


def _section(key: str) -> str:
    return key.rpartition(".")[0]


def _flat(section: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    values: dict[str, str] = {}
    for key, value in section.items():
        if isinstance(value, Mapping) and value:
            values |= _flat(value, f"{prefix}{key}.")
        else:
            values[prefix + key] = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return values
