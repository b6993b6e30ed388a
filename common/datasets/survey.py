"""What a data set holds and what is wrong with it: everything at once, instead of one error after the other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from common.errors import DataError
from common.manifest import Clip
from common.schema import Modality

#: What follows from a finding: a stage doesn't begin; stage 1 sets the clip aside and does the others; nothing.
Weight = Literal["refused", "fails", "remark"]

#: So many of a kind are named in an error.
_NAMED = 10


@dataclass(frozen=True)
class Finding:
    """Something about a data set that its user should know.

    Attributes
    ----------
    weight : Weight
    kind : str
        The same for all of its kind; they are listed together.
    text : str
        What, which file, which value.
    cure : str
    details : tuple of str
        More of the same from the same file.
    """

    weight: Weight
    kind: str
    text: str
    cure: str = ""
    details: tuple[str, ...] = ()


@dataclass(frozen=True)
class Survey:
    """A data set as found: its kind, where it lies, its clips in their order, and what was noticed on the way.

    Attributes
    ----------
    classes : of its labels, where they are emotions
    table : the imported features that it brings, as `common.datasets.tables.features.TableFeatures` reads them
    brings : modality to ``given`` or ``none``; one that isn't named comes from an encoder
    parts : of a given modality: columns and widths, in the order in which they are joined
    """

    kind: str
    root: Path
    clips: tuple[Clip, ...]
    findings: tuple[Finding, ...] = ()
    remarks: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    table: Path | None = None
    brings: Mapping[Modality, Literal["given", "none"]] = field(default_factory=dict)
    parts: Mapping[Modality, Mapping[str, int]] = field(default_factory=dict)

    def accepted(self) -> tuple[Clip, ...]:
        """The clips, if nothing forbids to begin.

        Raises
        ------
        DataError
            With everything that does, up to ten of a kind.
        """
        grave = [finding for finding in self.findings if finding.weight == "refused"]
        if not grave:
            return self.clips
        kinds = {finding.kind: [one for one in grave if one.kind == finding.kind] for finding in grave}
        if len(kinds) == 1:
            raise DataError(_listed(grave), grave[0].cure)
        problem = " ".join(f"({n}) {_listed(some)} {some[0].cure}" for n, some in enumerate(kinds.values(), start=1))
        raise DataError(
            f"{self.root} can't be used as it is. {problem}", "`python -m stage1_embeddings check-data` lists all."
        )


def clip_findings(clips: Sequence[Clip], root: Path) -> Iterable[Finding]:
    """A data set without clips, and clips of one name: the second would overwrite the first."""
    if not clips:
        text, cure = f"There is no video in {root}.", "Point DATA= at a folder with videos, or at one video."
        yield Finding("refused", "nothing to do", text, cure)
    seen: dict[str, Clip] = {}
    for clip in clips:
        other = seen.setdefault(clip.id, clip)
        if other is not clip:
            one, two = (clip.annotation or clip.source for clip in (other, clip))
            yield Finding(
                "refused",
                "clips in two splits" if other.split != clip.split else "two clips of one name",
                f"Two clips are called {clip.id!r}: {one} ({other.split}) and {two} ({clip.split}).",
                "Rename one, or remove it from one of the splits.",
            )


def _listed(findings: Sequence[Finding]) -> str:
    if len(findings) == 1:
        return findings[0].text
    more = f" And {len(findings) - _NAMED} more." if len(findings) > _NAMED else ""
    return f"{len(findings)} {findings[0].kind}: {' '.join(finding.text for finding in findings[:_NAMED])}{more}"
