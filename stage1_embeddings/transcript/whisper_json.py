"""The JSON that Whisper and the tools around it write: ``segments``, each with ``words`` or without."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from common.outside_text import json_of, shortened
from common.words import Word
from stage1_embeddings.transcript.words import check, number, spread, wrong

#: A language's code, or its name; anything else is none.
_LANGUAGE = re.compile(r"[A-Za-z][A-Za-z -]{0,31}")


def whisper_json(text: str, path: Path) -> tuple[str | None, list[list[Word]]]:
    """Language, and words of each segment."""
    try:
        content = json_of(text)
    except json.JSONDecodeError as error:
        raise wrong(f"{path}, line {error.lineno}", f"isn't JSON: {error.msg}", "Write it again.") from None
    except ValueError as error:
        raise wrong(str(path), f"isn't usable JSON: {error}", "Write it again.") from None
    segments = content.get("segments") if isinstance(content, dict) else None
    if not isinstance(segments, list):
        raise wrong(str(path), "has no list 'segments'", "Give Whisper's JSON, or keep other JSON under another name.")
    language = content.get("language")
    read = [_segment(item, f"{path}, segments[{index}]") for index, item in enumerate(segments)]
    return language if isinstance(language, str) and _LANGUAGE.fullmatch(language) else None, read


def _segment(item: Any, where: str) -> list[Word]:
    words = item.get("words") if isinstance(item, dict) else None
    # Some aligners leave out the times of what they can't align: then the whole segment is spread.
    if isinstance(words, list) and words and all(map(_is_timed, words)):
        read = []
        for index, word in enumerate(words):
            start_s, end_s, text = _timed(word, f"{where}.words[{index}]", "word")
            read += spread(text, start_s, end_s)
        return read
    start_s, end_s, text = _timed(item, where, "text")
    return spread(text, start_s, end_s)


def _is_timed(word: Any) -> bool:
    return isinstance(word, dict) and word.get("start") is not None and word.get("end") is not None


def _timed(item: Any, where: str, key: str) -> tuple[float, float, str]:
    if not isinstance(item, dict) or not isinstance(item.get(key), str):
        raise wrong(where, f"has no text {key!r}", "Give Whisper's JSON.")
    text: str = item[key]
    if re.search("[\0\ud800-\udfff]", text):
        raise wrong(where, f"has a character that isn't text in {shortened(text)}", "Write it again.")
    start_s, end_s = (number(item.get(name), f"{where}.{name}") for name in ("start", "end"))
    check(start_s, end_s, where)
    return start_s, end_s, text
