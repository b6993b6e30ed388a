"""Pages show what strangers wrote as text, and load nothing. Each kind of page has its own such test in stage3."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from common.provenance import PROJECT
from common.words import Word
from stage3_mlp.page import write_page
from tests.stage3.read_page import Page
from tests.stage3.viewed import PROVENANCE, track, view, written

PAYLOADS = (
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "' onmouseover='alert(1)", "</script><b>", "<!--",
    "]]>", "{{ 7 * 7 }}", "&lt;b&gt;", "a\u2028b\u2029c", "</textarea></style></title><svg onload=alert(1)>",
    "javascript:alert(1)", "=1+1", "<base href=//evil.example>", "\x00\x1b[31m\ufeff",
)  # fmt: skip

TEMPLATES = sorted((PROJECT / "stage3_mlp").rglob("*.j2"))

#: What loads from elsewhere, in a page's own text. uPlot names its home in a comment, SVG its namespace.
_ELSEWHERE = re.compile(
    r"""(?:https?:)?//(?!www\.w3\.org/2000/svg|github\.com/leeoniya/uPlot)[a-z0-9.-]+\.[a-z]{2,}/"""
)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_clip_s_page_shows_it_as_text(tmp_path: Path, payload: str) -> None:
    plain = written(tmp_path / "plain.html", view(track("n"), name="n", words=(Word("n", 0, 1),)), remarks=["n"])
    words = (Word(payload, 0, 1),)
    page = written(tmp_path / "p.html", view(track(payload), name=payload, words=words), remarks=[payload])
    read, expected = Page(tmp_path / "p.html"), Page(tmp_path / "plain.html")
    assert [name for name, _ in read.tags] == [name for name, _ in expected.tags]
    assert [sorted(given) for _, given in read.tags] == [sorted(given) for _, given in expected.tags]
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert data is not None and json.loads(data[1])["tracks"][0]["name"] == payload
    assert len(plain) < len(page) < 2 * len(plain)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_the_frame_of_every_page_escapes(tmp_path: Path, payload: str) -> None:
    provenance = {**PROVENANCE, "command": payload, "versions": {payload: payload}}
    context = {"heading": payload, "remarks": [payload], "provenance": provenance}
    write_page(tmp_path / "p.html", "page.html.j2", context)
    write_page(tmp_path / "q.html", "page.html.j2", {**context, "heading": "h", "remarks": ["r"]})
    read = Page(tmp_path / "p.html")
    assert [name for name, _ in read.tags] == [name for name, _ in Page(tmp_path / "q.html").tags]
    (policy,) = (given["content"] for given in read.of("meta") if given.get("http-equiv") == "Content-Security-Policy")
    for rule in ("default-src 'none'", "base-uri 'none'", "form-action 'none'"):
        assert rule in policy
    assert "script-src" not in policy and "http" not in policy


def test_no_template_lets_anything_through_or_reaches_out() -> None:
    assert len(TEMPLATES) > 5
    for path in TEMPLATES:
        source = path.read_text(encoding="utf-8")
        assert not re.search(r"\|\s*safe|autoescape|Markup|<iframe|<object|<embed|<form|@import", source), path
        assert "page.html.j2" in source or path.name in ("page.html.j2", "parts.html.j2"), path
    scripts = sorted((PROJECT / "stage3_mlp").rglob("*.js")) + sorted((PROJECT / "stage3_mlp").rglob("*.css"))
    for path in [*TEMPLATES, *scripts]:
        assert not _ELSEWHERE.search(path.read_text(encoding="utf-8")), path
    assert _ELSEWHERE.search('<img src="https://evil.example/x">') and _ELSEWHERE.search("url(//evil.example/x)")
