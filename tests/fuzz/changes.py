"""Valid files, changed where a reader may trip: in a token, a line, a value of JSON, a byte.

Each strategy draws a short list of edits; none at all leaves the file valid.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

Edit = tuple[str, int, str]

HUGE = "9" * 5000

NUMBERS = (
    "nan", "NaN", "inf", "-inf", "Infinity", "1e999", "-1e999", "1e308", "1e-400", "-0", "-0.0", "+.5", "5.", "-5", "0",
    "1", "-1", "1.0000001", "2", "3.0", "99999999999999999999", HUGE, "0." + HUGE, "1_0", "0_1", "0x1p3", "0x10", "0b1",
    "0o7", "010", "1:30", "٣", "1٢", "½", "²", "１", "true", "None", "null", "~", "2024-01-01", "2024-13-99", "1,5",
)  # fmt: skip
TEXTS = (
    "", " ", "\t", "\n", "\n\n", "\r", "\r\n", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029", "\0", "\x1b[2J",
    "\x7f",
    "\ufeff", "\u202e", "\u200f", "\U0001f600", "ß", "İ", "é", "e\u0301", "'", '"', '""', '"""', "`", "\\", "/",
    "../", "..", ".",
    "~", "%s", "{}", "$", "#", ",", ";", ":", "|", "=", "[", "]", "{", "}", "<", ">", "&", "-->", "--", "*", "?",
    "a" * 300,
    "word", "None", "CON", "name\0.txt", "<script>", "=1+1", "a b", "-" * 200, " " * 3000, "x" * 140_000,
)  # fmt: skip
#: What ends a line for someone.
ENDS = ("\n", "\n", "\n", "\n", "\r\n", "\r", "\x85", "\u2028", "\n\r", "\n\n")
ENCODINGS = ("utf-8", "utf-8", "utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "cp1252")

_EDITS = (
    "value",
    "value",
    "value",
    "replace",
    "insert",
    "delete",
    "again",
    "swap",
    "cut",
    "line again",
    "line away",
    "line moved",
)
_TOKEN = re.compile(r"[\w.+-]+|\s|[^\w\s]")
_PLACES = st.integers(0, 1 << 16)


def edits(odd: Sequence[str], most: int = 3) -> st.SearchStrategy[list[Edit]]:
    """What is done, where, and what is put there."""
    return st.lists(st.tuples(st.sampled_from(_EDITS), _PLACES, st.sampled_from(odd)), max_size=most)


def edited(text: str, changes: Sequence[Edit]) -> str:
    for how, where, odd in changes:
        by_line = how.startswith("line")
        parts = text.splitlines(keepends=True) if by_line else _TOKEN.findall(text)
        if not parts:
            return odd
        at = where % len(parts)
        match how:
            case "value":
                values = [index for index, part in enumerate(parts) if part[0].isalnum()]
                parts[values[where % len(values)] if values else at] = odd
            case "replace":
                parts[at] = odd
            case "insert":
                parts.insert(at, odd)
            case "delete" | "line away":
                del parts[at]
            case "again" | "line again":
                parts.insert(at, parts[at])
            case "swap":
                parts[at : at + 2] = parts[at : at + 2][::-1]
            case "cut":
                del parts[at:]
            case "line moved":
                parts.insert(where // 7 % len(parts), parts.pop(at))
        text = "".join(parts)
    return text


def changed_text(*valid: str, odd: Sequence[str] = ()) -> st.SearchStrategy[str]:
    """One of the valid texts with up to three edits; ``odd`` is put in besides the usual."""
    return st.builds(edited, st.sampled_from(valid), edits((*odd, *odd, *NUMBERS, *TEXTS)))


def changed_file(*valid: str, odd: Sequence[str] = ()) -> st.SearchStrategy[bytes]:
    """The same as a file: with other ends of lines, in another encoding, with other bytes."""
    texts = changed_text(*valid, odd=odd)
    whole = st.builds(_encoded, texts, st.sampled_from(ENDS), st.sampled_from(ENCODINGS))
    plain = texts.map(lambda text: text.encode("utf-8", "surrogatepass"))
    return plain | plain | whole | changed_bytes(plain)


def _encoded(text: str, end: str, encoding: str) -> bytes:
    return text.replace("\n", end).encode(encoding, "replace")


def changed_bytes(content: st.SearchStrategy[bytes], most: int = 4) -> st.SearchStrategy[bytes]:
    """Bytes replaced, put in, cut off."""
    changes = st.lists(st.tuples(st.sampled_from("rrri<>"), _PLACES, st.binary(min_size=1, max_size=4)), max_size=most)
    return st.builds(_with_bytes, content, changes)


def _with_bytes(content: bytes, changes: Sequence[tuple[str, int, bytes]]) -> bytes:
    for how, where, new in changes:
        at = where % (len(content) + 1)
        match how:
            case "r":
                content = content[:at] + new + content[at + len(new) :]
            case "i":
                content = content[:at] + new + content[at:]
            case "<":
                content = content[:at]
            case ">":
                content = content[at:]
    return content


#: Values as JSON spells them, some of which only Python reads.
JSON_VALUES = (
    "null", "true", "false", "0", "-1", "1", "2.5", "-0", "-0.0", "1e999", "-1e999", "NaN", "Infinity", "1e308", HUGE,
    "1." + HUGE,
    "99999999999999999999", '""', '" "', '"x"', '"nan"', '"12"', '"1_0"', '"\\u0000"', '"\\ud800"', '"\\u2028"',
    '"\\u001b[2J"', '"../x"', '"/x"', "[]", "{}", "[[]]", "[1]", '{"a": 1}', '["a"]', "[null]", "[" * 5000,
    "[" * 9999 + "]" * 9999,
    '{"a":' * 5000 + "1" + "}" * 5000, '"' + "x" * 100_000 + '"', '"2024-01-01"', "[1, 2", "nul", "'x'",
)  # fmt: skip
_IN_TREE = ("replace", "replace", "replace", "delete", "rename", "again", "wrap")


def changed_json(*valid: Any) -> st.SearchStrategy[bytes]:
    """A value of a tree replaced, deleted, renamed, doubled; or the text itself changed."""
    texts = [json.dumps(one, indent=1) for one in valid]
    kinds = st.tuples(st.sampled_from(_IN_TREE), _PLACES, st.integers(0, len(JSON_VALUES) - 1))
    trees = st.builds(_changed_tree, st.sampled_from(texts), st.lists(kinds, max_size=3))
    return trees | trees | trees | changed_file(*texts, odd=JSON_VALUES)


def _changed_tree(text: str, changes: Sequence[tuple[str, int, int]]) -> bytes:
    root = [json.loads(text)]
    for how, where, odd in changes:
        places = list(_places(root))
        holder, key = places[where % len(places)]
        value = f"<<odd {odd}>>"
        match how:
            case "delete" if holder is not root:
                del holder[key]
            case "rename" if isinstance(holder, dict):
                holder[f"{key}s"] = holder.pop(key)
            case "again" if isinstance(holder, list):
                holder.append(holder[key])
            case "wrap":
                holder[key] = [holder[key]]
            case _:
                holder[key] = value
    found = re.sub(r'"<<odd (\d+)>>"', lambda match: JSON_VALUES[int(match[1])], json.dumps(root[0]))
    return found.encode()


def _places(tree: Any) -> Any:
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in list(items):
        yield tree, key
        yield from _places(value)


def changed_archive(
    parts: Mapping[str, bytes], changed: Mapping[str, Callable[[], st.SearchStrategy[bytes]]]
) -> st.SearchStrategy[bytes]:
    """A zip file with one part changed, or with other bytes."""
    whole = st.just(zipped(parts, zipfile.ZIP_STORED)) | st.just(zipped(parts, zipfile.ZIP_DEFLATED))
    one = [make().map(lambda content, name=name: zipped({**parts, name: content})) for name, make in changed.items()]
    return st.one_of(*one, *one, changed_bytes(whole))


def zipped(parts: Mapping[str, bytes], how: int = zipfile.ZIP_STORED) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", how) as archive:
        for name, part in parts.items():
            archive.writestr(zipfile.ZipInfo(name), part, how)
    return content.getvalue()
