"""How dialogues are split where their data set doesn't say, and what must not be in two splits.

Recording sessions are left out whole: the last is the test split, the one before it the validation split. Else
dialogues are dealt out by their most frequent emotion, so that each class is in each split where it has enough of them.
No dialogue is ever divided.

The published classifier did otherwise: it copied rows until all classes had equally many, and split afterwards, by row.
`published` does the same, to show what such a score is worth.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from common.datasets.folder import natural
from common.datasets.survey import Finding
from common.manifest import Clip, Utterance
from common.schema import NO_EMOTION, Split

LEAKING = (
    "LEAKING on purpose (--protocol published): rows were copied before splitting, so copies of test rows are in "
    "training, and the epoch is selected on the test rows."
)

#: Of six dialogues with the same most frequent emotion, this one tests, and this one validates.
_DEALT: Mapping[int, Split] = {0: "test", 3: "validation"}
_SIXTH = 6

#: IEMOCAP's names: session, sex of the speaker, scene.
_SESSION = re.compile(r"(Ses\d+)[FM]_.+", re.IGNORECASE)
#: Fewer sessions can't be train, validation and test.
_SESSIONS = 3

#: A dialogue of fewer utterances may well be said twice: MELD has two such, of one and of two.
_TELLING = 3

#: Of the published splitting: one row in five is scored; rows of a clip.
_SCORED = 5
BLOCK_ROWS = 64

#: A row and its name.
_Row = tuple[str, Utterance]

_ORDER: tuple[Split, ...] = ("train", "validation", "test")


def with_sessions(clips: Sequence[Clip]) -> tuple[Clip, ...]:
    """The clips with their session as ``group`` where all of their names tell it, as ``Ses01F_impro01`` does."""
    found = [_SESSION.fullmatch(clip.id) for clip in clips]
    if any(clip.group for clip in clips) or not all(found):
        return tuple(clips)
    return tuple(replace(clip, group=match[1]) for clip, match in zip(clips, found, strict=True) if match)


def split_up(clips: Sequence[Clip], contents: Mapping[str, str] | None = None) -> tuple[tuple[Clip, ...], str]:
    """The clips with a split each, and a sentence on how they came by it.

    Parameters
    ----------
    clips : sequence of Clip
        Those with a split keep it.
    contents : clip to what it holds, or None
        Clips that hold the same go to one split. None: each is like no other.
    """
    if all(clip.split != "unsplit" for clip in clips):
        return tuple(clips), "The splits are the data set's own."
    sessions = sorted({clip.group for clip in clips}, key=natural)
    if len(sessions) >= _SESSIONS:
        *_, validation, test = sessions
        named: dict[str, Split] = {validation: "validation", test: "test"}
        remark = f"Split by session: {test} is the test split, {validation} validates, the others train."
        return tuple(replace(clip, split=named.get(clip.group, "train")) for clip in clips), remark
    together: dict[str, list[Clip]] = defaultdict(list)
    for clip in clips:
        together[contents[clip.id] if contents is not None else clip.id].append(clip)
    dealt = sorted(together, key=lambda key: (_most_frequent(together[key]), _hash(key)))
    split = {key: _DEALT.get(place % _SIXTH, "train") for place, key in enumerate(dealt)}
    chosen = {clip.id: split[key] for key, some in together.items() for clip in some}
    what = "dialogue" if contents is None else "row (equal rows together)"
    few = f" {len(sessions)} session(s) are too few to split by." if sessions != [""] else ""
    remark = (
        f"The data set names no splits. They were made by {what}, dealt out by the most frequent emotion: a sixth "
        f"is the test split, a sixth validates, the others train.{few}"
    )
    return tuple(replace(clip, split=chosen[clip.id]) for clip in clips), remark


def published(clips: Sequence[Clip]) -> tuple[Clip, ...]:
    """Rows copied until all classes have equally many, then split at random, in clips of 64 rows. It leaks.

    Parameters
    ----------
    clips : sequence of Clip
        The annotated utterances of those that train, and of those without a split, are taken.

    Returns
    -------
    tuple of Clip
        Those of ``test`` hold the same rows as those of ``validation``. The same clips give the same.
    """
    by_class: dict[int, list[_Row]] = defaultdict(list)
    taken = [clip for clip in clips if clip.split in ("train", "unsplit")]
    for clip in taken:
        for number, utterance in enumerate(clip.utterances):
            if utterance.emotion is not None:
                by_class[utterance.emotion].append((f"{clip.id}/{number}", utterance))
    most = max(map(len, by_class.values()), default=0)
    seed = _hash("\n".join(name for rows in by_class.values() for name, _ in rows))
    copied = [
        (f"{copy}/{name}", row)
        for rows in by_class.values()
        for copy, (name, row) in _repeated(_shuffled(rows, seed), most)
    ]
    rows = [row for _, row in _shuffled(copied, seed)]
    scored = -(-len(rows) // _SCORED)
    parts: tuple[tuple[Split, list[Utterance]], ...] = (
        ("train", rows[scored:]),
        ("validation", rows[:scored]),
        ("test", rows[:scored]),
    )
    source = taken[0].source if taken else None
    return tuple(
        Clip(f"{split}_{number:04d}", source, split, utterances=tuple(block))
        for split, some in parts
        for number, block in enumerate(_blocks(some), start=1)
        if source is not None
    )


def copied_dialogues(clips: Iterable[Clip]) -> Iterator[Finding]:
    """Dialogues of three utterances or more that are in two splits, word for word."""
    seen: dict[tuple[str, ...], Clip] = {}
    for clip in clips:
        texts = tuple(utterance.text for utterance in clip.utterances)
        if len(texts) < _TELLING or clip.split == "unsplit" or not any(texts):
            continue
        other = seen.setdefault(texts, clip)
        if other.split != clip.split:
            text = f"{other.id} ({other.split}) and {clip.id} ({clip.split}) are the same dialogue, word for word."
            yield Finding("refused", "dialogues in two splits", text, "Keep each dialogue in one split.")


def copied_rows(clips: Iterable[Clip], contents: Mapping[int, str], place: Mapping[int, str]) -> Iterator[Finding]:
    """Rows that are in two splits, number for number and word for word.

    Parameters
    ----------
    contents : row to what it holds; rows not named hold nothing to be told by
    place : row to its name in messages
    """
    first: dict[Split, dict[str, int]] = {split: {} for split in _ORDER}
    rows = [
        (clip.split, one.row)
        for clip in clips
        for one in clip.utterances
        if clip.split in first and one.row is not None and one.row in contents
    ]
    for split, row in rows:
        first[split].setdefault(contents[row], row)
    copies: dict[tuple[Split, Split], list[str]] = defaultdict(list)
    for split, row in rows:
        for before in _ORDER[: _ORDER.index(split)]:
            if (other := first[before].get(contents[row])) is not None:
                copies[before, split].append(f"{place[row]} is {place[other]}")
    for (before, split), named in sorted(copies.items()):
        text = f"Copies of {len(named)} row(s) of {split} are in {before}: {', '.join(named[:3])}."
        cure = "Split first and copy rows afterwards, in train alone; --protocol published does it the published way."
        yield Finding("refused", "copies in two splits", text, cure)


def _most_frequent(clips: Iterable[Clip]) -> int:
    """The emotion that most utterances have; of equals the first class; -1 where none is annotated."""
    counts = Counter(one.emotion for clip in clips for one in clip.utterances if one.emotion is not None)
    return min(counts, key=lambda emotion: (-counts[emotion], emotion), default=NO_EMOTION)


def _repeated(rows: Sequence[_Row], count: int) -> Iterator[tuple[int, _Row]]:
    """``count`` of them, each as often as any other, or once more."""
    for number in range(count):
        yield number // len(rows), rows[number % len(rows)]


def _shuffled(rows: Iterable[_Row], seed: str) -> list[_Row]:
    """In an order that only names and seed decide, on every machine and with every version of anything."""
    return sorted(rows, key=lambda row: _hash(f"{seed}/{row[0]}"))


def _blocks(rows: Sequence[Utterance]) -> Iterator[Sequence[Utterance]]:
    for start in range(0, len(rows), BLOCK_ROWS):
        yield rows[start : start + BLOCK_ROWS]


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
