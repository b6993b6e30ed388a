"""The result of check-data as lines of text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from common.datasets.folder import natural
from common.datasets.survey import Finding, Weight
from common.errors import printable
from common.schema import NO_EMOTION
from stage1_embeddings.check_data import DataCheck, SplitCount
from stage1_embeddings.check_media import BY_HEADER

#: Examples of a kind, unless all are asked for.
EXAMPLES = 10

_HEADINGS: dict[Weight, str] = {
    "refused": "Stage 1 would not begin, or stage 2 would not train:",
    "fails": "Stage 1 would set these clips aside and do the others:",
    "remark": "Remarks, which keep nothing from going on:",
}


def in_words(check: DataCheck, recipe: str, *, every: bool = False) -> list[str]:
    """The report: counts by split, then findings by weight and kind, then what follows.

    Parameters
    ----------
    every : bool
        List all findings, instead of at most ten of a kind.
    """
    found = check.survey
    how = "decoded to their end" if check.decoded else "headers and first frames read, not decoded (--decode)"
    lines = [f"{found.root} ({found.kind}), recipe {recipe}; videos: {how}", "", *_table(check)]
    for weight, heading in _HEADINGS.items():
        findings = [finding for finding in check.findings if finding.weight == weight]
        if findings:
            lines += ["", heading, *_kinds(findings, every)]
    lines += [f"Note: {remark}" for remark in found.remarks]
    # The first line says where everything lies.
    below = re.compile(rf"(?<![^\s'\"(]){re.escape(f'{found.root}/')}")
    return [printable(below.sub("", line)) for line in (*lines, "", *_verdict(check))]


def _table(check: DataCheck) -> Iterator[str]:
    if check.survey.classes:
        yield from _class_table(check)
        return
    yield (
        f"{'split':<11}{'clips':>7}{'labelled':>10}{'rows':>11}{'annotated':>11}{'masked':>8}{'faulty':>8}"
        f"  {'valence min, mean, max':<24}  arousal min, mean, max"
    )
    for split, count in check.counts.items():
        values = count.annotated
        masked = count.rows - count.faulty - len(values)
        yield (
            f"{split:<11}{count.clips:>7}{count.labelled:>10}{count.rows:>11,}{len(values):>11,}{masked:>8,}"
            f"{count.faulty:>8,}  {_spread(count, 0):<24}  {_spread(count, 1)}"
        ).rstrip()


def _class_table(check: DataCheck) -> Iterator[str]:
    """Rows of each split, and how many of them have each class."""
    classes = check.survey.classes
    widths = [max(8, len(name)) for name in classes]
    heads = "".join(f"  {name:>{width}}" for name, width in zip(classes, widths, strict=True))
    yield f"{'split':<11}{'clips':>7}{'labelled':>10}{'rows':>11}{'no label':>10}{heads}"
    for split, count in check.counts.items():
        cells = "".join(f"  {count.emotions[number]:>{width},}" for number, width in enumerate(widths))
        without = count.emotions[NO_EMOTION]
        yield f"{split:<11}{count.clips:>7}{count.labelled:>10}{count.rows:>11,}{without:>10,}{cells}"


def _spread(count: SplitCount, column: int) -> str:
    values = count.annotated[:, column]
    if not len(values):
        return "-"
    return f"{values.min():+.3f}, {values.mean(dtype='float64'):+.3f}, {values.max():+.3f}"


def _kinds(findings: Sequence[Finding], every: bool) -> Iterator[str]:
    kinds = dict.fromkeys(finding.kind for finding in findings)
    for kind in kinds:
        same = sorted((one for one in findings if one.kind == kind), key=lambda one: natural(one.text))
        yield f"  {kind}: {len(same)}"
        for finding in same if every else same[:EXAMPLES]:
            more = f" (and {len(finding.details)} more in this file)" if finding.details and not every else ""
            yield f"    {finding.text}{more}"
            if every:
                yield from (f"    {detail}" for detail in finding.details)
        if len(same) > EXAMPLES and not every:
            yield f"    ... and {len(same) - EXAMPLES} more (--all lists them)"
        yield from (f"    {cure}" for cure in dict.fromkeys(one.cure for one in same if one.cure))


def _verdict(check: DataCheck) -> Iterator[str]:
    count = {weight: sum(finding.weight == weight for finding in check.findings) for weight in _HEADINGS}
    doubtful = sum(finding.kind.endswith(BY_HEADER) for finding in check.findings)
    if doubtful:
        yield f"In doubt: {doubtful} finding(s), which cost their clips if the videos' headers count right."
    if not check.passed:
        yield (
            f"Not as it should be: {count['refused']} fault(s) that stop a stage, {count['fails']} that cost a clip, "
            f"{count['remark']} remark(s)."
        )
    else:
        sure = "every clip" if check.decoded else "every clip, as far as can be told without decoding"
        yield f"Nothing is known to be in the way: stage 1 takes {sure}. {count['remark']} remark(s)."
