"""Pages of a run's own clips: linked from the test's page, and made anew when what they show has changed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from stage2_beit.cli import main as stage2
from stage3_mlp.cli import main as stage3
from tests.integration.chain import Chain


@pytest.fixture
def chain(finished: Chain, tmp_path: Path) -> Chain:
    shutil.copytree(finished.run, tmp_path / "run")
    shutil.copytree(finished.cache, tmp_path / "cache")
    return Chain(finished.data, tmp_path / "cache", tmp_path / "run")


def call(group: object, chain: Chain, *arguments: str) -> Result:
    places = ["--cache", str(chain.cache), "--run", str(chain.run), "--device", "cpu"]
    result = CliRunner().invoke(group, [*arguments, *places])  # type: ignore[arg-type]
    assert result.exit_code == 0, result.output
    return result


def pages(chain: Chain) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in (chain.run / "clips").glob("*.html")}


def test_the_report_links_pages_that_are_there(chain: Chain) -> None:
    report = (chain.run / "test" / "report.html").read_text(encoding="utf-8")
    scored = [row["clip"] for row in chain.metrics()["per_clip"]]
    assert scored and set(pages(chain)) == {f"{clip}.html" for clip in scored}
    for clip in scored:
        assert f'href="../clips/{clip}.html"' in report
        assert "left out on request" in (chain.run / "clips" / f"{clip}.html").read_text(encoding="utf-8")


def test_a_page_that_is_gone_or_lacks_its_video_is_made_and_the_others_are_left(chain: Chain) -> None:
    first = pages(chain)
    assert "nothing to do" in call(stage3, chain, "test", "--no-video").output and pages(chain) == first
    gone = chain.run / "clips" / min(first)
    gone.unlink()
    call(stage3, chain, "test", "--no-video")
    assert {name for name, time in pages(chain).items() if first[name] != time} == {gone.name}
    call(stage3, chain, "test")
    with_video = pages(chain)
    assert all(with_video[name] != first[name] for name in first)
    assert 'id="video-bytes"' in gone.read_text(encoding="utf-8")
    assert "nothing to do" in call(stage3, chain, "test", "--no-video").output and pages(chain) == with_video


def test_a_page_outlives_its_video(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    call(stage3, chain, "test")
    with_video = pages(chain)
    gone = chain.run / "clips" / min(with_video)
    for module in ("clip_pages", "view"):  # as where the videos' disk isn't there any more
        monkeypatch.setattr(f"stage3_mlp.views.{module}.source_video", lambda attributes: (None, "It is gone."))
    assert "nothing to do" in call(stage3, chain, "test").output and pages(chain) == with_video
    gone.unlink()
    assert "It is gone." in call(stage3, chain, "test").output
    assert "It is gone." in gone.read_text(encoding="utf-8")
    assert "nothing to do" in call(stage3, chain, "test").output
    monkeypatch.undo()
    assert "nothing to do" not in call(stage3, chain, "test").output
    assert 'id="video-bytes"' in gone.read_text(encoding="utf-8")


def test_pages_of_another_model_are_taken_away(chain: Chain) -> None:
    other = chain.manifest()["clips"][0]["id"]
    call(stage3, chain, "page", other, "--no-video")
    assert f"{other}.html" in pages(chain)
    record = json.loads((chain.run / "head" / "record.json").read_text())
    record["weights_sha256"] = "0" * 64
    (chain.run / "head" / "record.json").write_text(json.dumps(record))
    call(stage3, chain, "test", "--no-video")
    assert set(pages(chain)) == {f"{row['clip']}.html" for row in chain.metrics()["per_clip"]} - {f"{other}.html"}


def test_the_attention_comes_into_the_page_of_a_chosen_clip(chain: Chain) -> None:
    clip = chain.manifest()["clips"][0]["id"]
    call(stage3, chain, "page", clip, "--no-video")
    page = chain.run / "clips" / f"{clip}.html"
    assert "Attention of the six paths" not in page.read_text(encoding="utf-8")
    call(stage2, chain, "attend", clip)
    call(stage3, chain, "page", clip, "--no-video")
    assert "Attention of the six paths" in page.read_text(encoding="utf-8")
    result = CliRunner().invoke(stage3, ["page", "nobody", "--run", str(chain.run), "--cache", str(chain.cache)])
    assert result.exit_code == 2 and "fits no clip" in result.output
