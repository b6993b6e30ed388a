"""What is asked of a Ray cluster, and refused, without Ray."""

from __future__ import annotations

import dataclasses
import pickle
import socket
import sys
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from common.datasets import open_dataset
from common.errors import DataError, MavenError, MediaError, UsageError
from common.recipe import Recipe
from stage1_embeddings.cli import main
from stage1_embeddings.cluster.connection import Share, connect, room, share_of
from stage1_embeddings.cluster.station import Errand, NodeWork, Outcome, Stopped, check_node, code_here
from stage1_embeddings.plan import FeaturePlan
from stage1_embeddings.workforce import everywhere


def node(cpus: float, gpus: float = 0, *, alive: bool = True) -> dict[str, Any]:
    return {"Alive": alive, "Resources": {"CPU": cpus, "memory": 1e9} | ({"GPU": gpus} if gpus else {})}


@pytest.mark.parametrize(
    ("nodes", "device", "gpus", "cpus", "share", "places"),
    [
        ([node(1), node(1)], "auto", 1.0, None, Share(1, 0.0), 2),
        ([node(64), node(16)], "auto", 1.0, None, Share(8, 0.0), 10),
        ([node(4), node(16)], "auto", 1.0, None, Share(4, 0.0), 5),
        ([node(32, 4), node(16, 1)], "auto", 1.0, None, Share(8, 1.0), 5),
        ([node(32, 4), node(64)], "cuda", 0.5, None, Share(4, 0.5), 8),
        ([node(32, 4)], "auto", 0.3, None, Share(2, 0.3), 12),
        ([node(4, 8)], "auto", 1.0, None, Share(1, 1.0), 4),
        ([node(32, 4)], "cpu", 1.0, None, Share(8, 0.0), 4),
        ([node(32, 4)], "auto", 1.0, 16, Share(16, 1.0), 2),
        ([node(8), node(8, alive=False), node(0)], "auto", 1.0, None, Share(8, 0.0), 1),
    ],
)
def test_stations_fill_the_nodes(
    nodes: list[dict[str, Any]], device: str, gpus: float, cpus: int | None, share: Share, places: int
) -> None:
    assert share_of(nodes, device, gpus, cpus) == share
    assert room(nodes, share) == places


def test_a_cluster_without_cpus_is_refused() -> None:
    with pytest.raises(UsageError, match=r"No node of the Ray cluster offers a CPU.*ray start"):
        share_of([node(0), node(4, alive=False)], "auto", 1.0, None)


def test_without_ray_the_cure_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match=r"ENGINE=ray needs Ray.*requirements-ray.txt.*this machine works alone"):
        connect("auto")


@pytest.mark.parametrize("address", ["", "10.0.0.1", "a b:1", "http://host:6379", "host:port", "host:6379/x"])
def test_an_address_is_a_host_and_a_port(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setitem(sys.modules, "ray", object())
    with pytest.raises(UsageError, match=r"isn't HOST:PORT"):
        connect(address)


def test_an_address_where_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", object())
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but nobody listens
        with pytest.raises(UsageError, match=r"nobody answers.*ray start --head"):
            connect(f"127.0.0.1:{taken.getsockname()[1]}")
    with pytest.raises(UsageError, match=r"nobody answers"):
        connect("127.0.0.1:99999")


@pytest.mark.parametrize("option", [["--address", "auto"], ["--encoder-gpus", "0.5"], ["--encoders", "2"]])
def test_options_of_a_cluster_without_one(option: list[str], tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["extract", "--cache", str(tmp_path), *option])
    assert result.exit_code == 2
    assert f"{option[0]} is for a Ray cluster. Add --engine ray" in result.output


def test_a_missing_cluster_ends_the_command_in_one_sentence(
    corpus: Path, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    (tmp_path / "models").symlink_to(models / "models")
    places = ["--data", str(corpus), "--cache", str(tmp_path), "--run", str(tmp_path / "run")]
    result = CliRunner().invoke(main, ["extract", *places, "--engine", "ray"])
    assert result.exit_code == 2 and "error: ENGINE=ray needs Ray" in result.output, result.output
    assert not list(tmp_path.glob("features/*/.cluster*"))


def test_errors_come_whole_from_another_process() -> None:
    for kind in (MavenError, DataError, MediaError):
        there = pickle.loads(pickle.dumps(kind("x.mp4 is empty.", "Copy it again.")))  # noqa: S301 our own
        assert type(there) is kind and (there.problem, there.cure) == ("x.mp4 is empty.", "Copy it again.")


def test_paths_are_made_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    cache = tmp_path / "cache"
    assert everywhere(Path("a"), Path("cache"), None) == (tmp_path / "a", cache)
    assert everywhere([Path("a"), Path("/b")], Path("cache"), None) == ([tmp_path / "a", Path("/b")], cache)
    assert everywhere(None, cache, None) == (None, cache)


@pytest.fixture
def errand(corpus: Path, models: Path, small_recipe: Recipe, tmp_path: Path) -> Errand:
    (tmp_path / "models").symlink_to(models / "models")
    plan = FeaturePlan(small_recipe.stage1, tmp_path)
    plan.folder.mkdir(parents=True)
    mark = plan.folder / ".mark"
    mark.touch()
    return Errand(plan, "cpu", 0, False, mark, (corpus,), code_here(), ("extract",))


def test_a_node_that_sees_the_same_is_taken(errand: Errand) -> None:
    check_node(errand)


def test_a_node_with_another_cache(errand: Errand) -> None:
    errand.mark.unlink()
    with pytest.raises(UsageError, match=r"doesn't see the cache.*\.mark there.*same path"):
        check_node(errand)


def test_a_node_without_the_data(errand: Errand) -> None:
    with pytest.raises(UsageError, match=r"doesn't see /nowhere/videos\..*same path from every node"):
        check_node(dataclasses.replace(errand, roots=(*errand.roots, Path("/nowhere/videos"))))


def test_a_node_with_other_versions(errand: Errand) -> None:
    with pytest.raises(UsageError, match=r"other code or packages.*torch .* there, torch 1 here"):
        check_node(dataclasses.replace(errand, code="torch 1"))


def test_a_station_does_what_it_is_handed(errand: Errand, corpus: Path) -> None:
    clips = open_dataset(corpus, errand.plan.cache, print).clips[:2]
    broken = dataclasses.replace(clips[0], id="broken", source=corpus / "missing.mp4", annotation=None)
    work = NodeWork(errand)
    promises: list[Future[Outcome]] = [work.add(clip) for clip in (clips[0], broken, clips[1])]
    one, bad, two = (promise.result(timeout=120) for promise in promises)
    for clip, outcome in zip(clips, (one, two), strict=True):
        assert list(outcome.tally.done) == [clip.id] and outcome.tally.computed == 1
        assert [what for what, _ in outcome.log] == ["done"] and clip.id in outcome.text
    assert [failure.id for failure in bad.tally.failures] == ["broken"] and not bad.tally.done
    again = work.add(clips[0]).result(timeout=120)
    assert again.tally.computed == 0 and list(again.tally.done) == [clips[0].id] and not again.log
    assert not (errand.plan.folder / ".claims").exists() and not (errand.plan.folder / "log.jsonl").exists()
    work.stop()
    with pytest.raises(Stopped, match="asked to stop"):
        work.add(clips[1]).result(timeout=120)


def test_what_ends_a_run_breaks_every_promise(errand: Errand, corpus: Path) -> None:
    work = NodeWork(dataclasses.replace(errand, device="tpu"))
    promises = [work.add(clip) for clip in open_dataset(corpus, errand.plan.cache, print).clips[:2]]
    for promise in promises:
        with pytest.raises(UsageError, match="DEVICE=tpu isn't available"):
            promise.result(timeout=120)
    with pytest.raises(UsageError, match="DEVICE=tpu isn't available"):
        work.add(open_dataset(corpus, errand.plan.cache, print).clips[2]).result(timeout=120)
