"""Emotion classes through the three stages by their command lines: the published table, MELD's layout, leaks."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from common.datasets.tables.spec import MELD_CLASSES
from common.schema import EMOTION, WORD_SPEAKER, WORD_TEXT, present
from common.store import read_clip
from stage1_embeddings.cli import main as stage1
from stage1_embeddings.upkeep.prune import prune_plan
from studies.cli import main as studies
from tests.integration.chain import Chain
from tests.integration.published_table import HEADER, write_table

SMALL = (
    "stage1.faces={detector: haar, detect_width_px: 192}",
    *(f"stage1.{name}={{model: miniature}}" for name in ("visual", "audio", "text")),
    "stage2.fusion={kind: text-guided, width: 64, heads: 4, branch: 32, narrow_branch: 16}",
    "stage3.classifier={hidden: 32}",
)


class EmotionChain(Chain):
    """The commands with the recipe `meld`, smaller."""

    def _call(self, group: object, *arguments: str, settings: tuple[str, ...] | None = None) -> Result:
        sets = [part for setting in (*SMALL, *(settings or ())) for part in ("--set", setting)]
        recipe = ["--recipe", "meld", *sets] if settings is not None else []
        places = ["--cache", str(self.cache), "--run", str(self.run), "--device", "cpu"]
        return CliRunner().invoke(group, [*arguments, *recipe, *places])  # type: ignore[arg-type]

    def embeddings(self, *settings: str, data: Path | None = None, flags: tuple[str, ...] = ()) -> Result:
        source = ("--data", str(data or self.data), "--workers", "0")
        return self._call(stage1, "extract", *source, *flags, settings=settings)

    def stages_2_and_3(self, *settings: str) -> list[Result]:
        from stage2_beit.cli import main as stage2
        from stage3_mlp.cli import main as stage3

        return [
            self._call(stage2, "train", settings=settings),
            self.export(),
            self._call(stage3, "train", settings=settings),
            self.test(),
        ]

    def all(self, *settings: str, flags: tuple[str, ...] = ()) -> list[Result]:
        return [self.embeddings(*settings, flags=flags), *self.stages_2_and_3(*settings)]


def chain_on(data: Path, models: Path, folder: Path) -> EmotionChain:
    (folder / "cache").mkdir(exist_ok=True)
    if not (folder / "cache" / "models").exists():
        (folder / "cache" / "models").symlink_to(models / "models")
    return EmotionChain(data, folder / "cache", folder / "runs" / "emotions")


def went_through(results: Sequence[Result]) -> str:
    for result in results:
        assert result.exit_code == 0, result.output
    return "".join(result.output for result in results)


@pytest.fixture(scope="session")
def informed(models: Path, tmp_path_factory: pytest.TempPathFactory) -> EmotionChain:
    """A run on a table whose features hold the label; tests that change it copy it first."""
    folder = tmp_path_factory.mktemp("informed")
    chain = chain_on(write_table(folder / "MELD tröpfchen's.csv", informed=True), models, folder)
    went_through(chain.all())
    return chain


def test_what_is_in_the_features_is_learnt(informed: EmotionChain) -> None:
    metrics = informed.metrics()
    assert metrics["split"] == "test" and metrics["rows"] == 60
    assert metrics["accuracy"] > 0.9 and metrics["weighted_f1"] > 0.9 and metrics["macro_f1"] > 0.9
    assert metrics["classes"] == list(MELD_CLASSES) and sum(metrics["training_counts"]) == 222
    folder = informed.run / "test"
    for name in ("confusion_matrix.png", "per_class_metrics.png", "training_curves.png", "pca.png"):
        assert (folder / name).read_bytes().startswith(b"\x89PNG")
    assert "weighted avg" in (folder / "classification_report.txt").read_text()
    rows = informed.predictions()
    assert len(rows) == 60 and {row["speaker"] for row in rows} == {"Ann", "Björn", "O'Neil"}
    right = [row for row in rows if row["label"] == row["predicted"]]
    assert len(right) == round(60 * metrics["accuracy"])
    assert all(abs(sum(float(row[f"p_{name}"]) for name in MELD_CLASSES) - 1) < 1e-5 for row in rows)


def test_a_dialogue_is_a_clip_and_an_utterance_a_row(informed: EmotionChain) -> None:
    with informed.data.open(encoding="utf-8") as file:
        table = [row for row in csv.DictReader(file) if row["Dialogue_ID"] == "3"]
    arrays = read_clip(informed.features("3"))
    assert arrays[WORD_TEXT] == [row["Utterance"] for row in table]
    assert arrays[WORD_SPEAKER] == [row["Speaker"] for row in table]
    assert [MELD_CLASSES[number] for number in arrays[EMOTION]] == [row["Emotion"] for row in table]
    joined = [json.loads(row["V1"]) + json.loads(row["V3"]) + json.loads(row["V4"]) for row in table]
    assert arrays["audio"].dtype == "float32"  # type: ignore[union-attr]
    np.testing.assert_allclose(arrays["audio"], joined, atol=1e-6)
    parts = informed.manifest()["encoders"]["audio"]["parts"]
    assert list(parts.items()) == [("V1", 512), ("V3", 25), ("V4", 25)]


def test_a_second_run_finds_everything_done(informed: EmotionChain) -> None:
    said = went_through(informed.all())
    assert said.count("nothing to do, no model loaded") == 5


def test_what_is_not_in_the_features_is_not_learnt(models: Path, tmp_path: Path) -> None:
    chain = chain_on(write_table(tmp_path / "noise.csv", informed=False), models, tmp_path)
    went_through(chain.all())
    assert 0.03 < chain.metrics()["accuracy"] < 0.32, "a seventh, within three deviations of 60 draws"


def test_rows_copied_before_splitting_are_refused_unless_on_purpose(models: Path, tmp_path: Path) -> None:
    data = write_table(tmp_path / "table.csv", informed=False, dialogues_per_class=3, utterances=3)
    with data.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    copied = [[*row, "train"] for row in rows[1:50]] + [[f"c{row[0]}", *row[1:], "test"] for row in rows[40:64]]
    copied += [[f"d{row[0]}", *row[1:], "dev"] for row in rows[50:64]]
    leaking = tmp_path / "leaking.csv"
    with leaking.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([[*HEADER, "Split"], *copied])
    refused = chain_on(leaking, models, tmp_path).embeddings()
    assert refused.exit_code == 1 and "test" in refused.output and "train" in refused.output, refused.output
    assert not (tmp_path / "cache" / "features").exists()

    chain = chain_on(data, models, tmp_path)
    said = went_through(
        chain.all("stage2.training.epochs=1", "stage3.training.epochs=1", flags=("--protocol", "published"))
    )
    assert "LEAKING" in said
    test = chain.run / "test"
    for name in ("metrics.json", "classification_report.txt", "report.html"):
        assert "LEAKING" in (test / name).read_text(encoding="utf-8"), name
    assert all(row["note"].startswith("LEAKING") for row in chain.predictions())
    clips = {(clip["split"], clip["video"]) for clip in chain.manifest()["clips"]}
    assert {video for split, video in clips if split == "test"} == {
        video for split, video in clips if split == "validation"
    }


def test_the_manifest_refuses_a_dialogue_in_two_splits(informed: EmotionChain, tmp_path: Path) -> None:
    chain = EmotionChain(informed.data, informed.cache, tmp_path / "run")
    shutil.copytree(informed.run, chain.run)
    manifest = chain.manifest()
    train = next(clip for clip in manifest["clips"] if clip["split"] == "train")
    test = next(clip for clip in manifest["clips"] if clip["split"] == "test")
    test["video"] = train["video"]
    (chain.run / "manifest.json").write_text(json.dumps(manifest))
    from stage2_beit.cli import main as stage2

    result = chain._call(stage2, "train", settings=("seed=5",))
    assert result.exit_code == 1 and "are the same dialogue" in result.output, result.output


def test_a_head_is_not_scored_on_what_it_was_trained_on(informed: EmotionChain, tmp_path: Path) -> None:
    chain = EmotionChain(tmp_path / "table.csv", tmp_path / "cache", tmp_path / "run")
    shutil.copytree(informed.run, chain.run)
    shutil.copytree(informed.cache, chain.cache, symlinks=True)
    with informed.data.open(newline="", encoding="utf-8") as file:
        head, *rows = csv.reader(file)
    for row in rows[:60]:
        row[-1] = "neutral"  # dialogues are dealt out by their emotions: another split
    with chain.data.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([head, *rows])
    went_through([chain.embeddings(), chain.export()])
    result = chain.test()
    assert result.exit_code == 1 and "was trained on other clips, labels, splits" in result.output, result.output
    assert "make train-mlp" in result.output


def test_short_dialogues_may_be_said_in_two_splits(models: Path, tmp_path: Path) -> None:
    rows = [(f"{split}{number}", text, emotion, split) for split in ("train", "dev", "test")
            for number, (text, emotion) in enumerate((("Hey.", "joy"), ("Oh no.", "anger")))]  # fmt: skip
    with (tmp_path / "said.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("dialogue", "text", "emotion", "set"), *rows])
    (tmp_path / "table.yaml").write_text(
        "file: said.csv\nutterance: text\nlabel: emotion\ndialogue: dialogue\nsplit: set\n"
    )
    chain = chain_on(tmp_path, models, tmp_path)
    went_through(chain.all("stage2.training.epochs=1", "stage3.training.epochs=1"))
    assert chain.metrics()["rows"] == 2


def test_a_table_without_words_trains_and_one_without_labels_is_predicted(models: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    labels = np.array(["calm", "glad", "sad"])[np.arange(90) % 3]
    features = rng.normal(size=(90, 6)) + 5 * np.eye(6)[np.arange(90) % 3]
    for name, columns in (("known", {"x": features, "y": labels}), ("new", {"x": features[:9]})):
        (tmp_path / name).mkdir()
        np.savez(tmp_path / name / "table.npz", **columns)
        spec = "file: table.npz\naudio: x\n" + ("label: y\n" if "y" in columns else "")
        (tmp_path / name / "table.yaml").write_text(spec)
    chain = chain_on(tmp_path / "known", models, tmp_path)
    went_through(chain.all("stage2.training.learning_rate=1e-2", "stage3.training.learning_rate=1e-2"))
    assert chain.metrics()["accuracy"] > 0.8
    other = EmotionChain(tmp_path / "new", chain.cache, tmp_path / "predicted")
    from stage2_beit.cli import main as stage2
    from stage3_mlp.cli import main as stage3

    said = went_through(
        [
            other.embeddings(),
            other._call(stage2, "export", "--fusion", str(chain.run / "fusion")),
            other._call(stage3, "predict", "--head", str(chain.run / "head")),
        ]
    )
    assert "it can be predicted" in said
    with (other.run / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    right = [row["predicted"] == label for row, label in zip(rows, labels, strict=False)]
    assert len(rows) == 9 and sum(right) >= 7 and {row["label"] for row in rows} == {""}


@pytest.mark.parametrize(
    ("recipe", "emotions", "says"),
    [
        ("maven", ("joy", "anger"), "The recipe is about valence and arousal"),
        ("meld", ("joy", "joy"), "nothing to tell apart"),
    ],
)
def test_check_data_says_what_stage_2_would_refuse(
    recipe: str, emotions: tuple[str, str], says: str, tmp_path: Path
) -> None:
    rows = [
        (f"{split}{number}", emotion, split) for split in ("train", "dev") for number, emotion in enumerate(emotions)
    ]
    with (tmp_path / "said.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("text", "emotion", "set"), *rows])
    (tmp_path / "table.yaml").write_text("file: said.csv\nutterance: text\nlabel: emotion\nsplit: set\n")
    places = ["--data", str(tmp_path), "--cache", str(tmp_path / "cache")]
    result = CliRunner().invoke(stage1, ["check-data", "--recipe", recipe, *places])
    assert result.exit_code == 1 and says in result.output, result.output


def test_tables_that_are_no_business_of_ours_are_passed_over(models: Path, corpus: Path, tmp_path: Path) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    shutil.copy(next(corpus.glob("**/*.mp4")), videos / "talk.mp4")
    (videos / "notes.csv").write_bytes(b"")
    (videos / "other.csv").write_bytes("Utterance".encode("utf-16"))
    chain = chain_on(videos, models, tmp_path)
    result = chain.embeddings()
    assert result.exit_code == 0 and chain.manifest()["rows"] == "frames", result.output


def test_melds_own_tables_with_videos(models: Path, corpus: Path, tmp_path: Path) -> None:
    """Stage 1 computes what a table doesn't bring; an utterance's row is the mean over its video's frames."""
    data = tmp_path / "MELD.Raw"
    videos = sorted(corpus.glob("**/*.mp4"))
    assert len(videos) >= 3
    emotions = ["joy", "anger", "neutral"]
    for part, folder in (
        ("train", "train_splits"),
        ("dev", "dev_splits_complete"),
        ("test", "output_repeated_splits_test"),
    ):
        (data / folder).mkdir(parents=True)
        with (data / f"{part}_sent_emo.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["Sr No.", "Utterance", "Speaker", "Emotion", "Sentiment", "Dialogue_ID", "Utterance_ID"])
            for number in range(3):
                writer.writerow([number, f"{part} {number}", "Phoebe", emotions[number], "x", 0, number])
        for number in range(2):  # the third has none
            shutil.copy(videos[number], data / folder / f"dia0_utt{number}.mp4")
    (data / "dev_splits_complete" / "dia0_utt1.mp4").write_bytes(b"no video at all")
    chain = chain_on(data, models, tmp_path)
    first = chain.embeddings()
    assert first.exit_code == 0 and "1 of 6 videos of utterances can't be used" in first.output, first.output
    dialogue = read_clip(chain.features("train_dia0"))
    assert dialogue[present("visual")].tolist() == [True, True, False]  # type: ignore[union-attr]
    assert dialogue[present("text")].all()  # type: ignore[union-attr]
    frames = [path for path in chain.cache.glob("features/*/train_dia0_utt0.h5")]
    alone = read_clip(frames[0])
    mean = alone["audio"][alone[present("audio")]].astype("float64").mean(axis=0)  # type: ignore[union-attr]
    np.testing.assert_allclose(dialogue["audio"][0], mean, atol=2e-3)
    assert read_clip(chain.features("dev_dia0"))[present("audio")].tolist() == [True, False, False]  # type: ignore[union-attr]
    assert "nothing to do" in chain.embeddings().output
    spare = prune_plan(chain.cache, (chain.run.parent,), keep_days=0).spare
    assert not [item for item in spare if item.path.suffix == ".h5"], "a dialogue's row rests on its video's file"
    inspected = CliRunner().invoke(stage1, ["inspect", "train_dia0", "--cache", str(chain.cache)])
    assert "3 utterances" in inspected.output and "an emotion for 3 of 3" in inspected.output, inspected.output
    went_through(chain.stages_2_and_3("stage2.training.epochs=1", "stage3.training.epochs=1"))
    assert chain.metrics()["rows"] == 3


@pytest.mark.parametrize(
    ("arguments", "table"),
    [
        (("ablate", "--seeds", "1"), "ablation/shapley.csv"),
        (("folds",), "folds/folds.csv"),
        (("missing",), "missing/missing.csv"),
    ],
)
def test_studies_take_classes(informed: EmotionChain, tmp_path: Path, arguments: Sequence[str], table: str) -> None:
    chain = EmotionChain(informed.data, informed.cache, tmp_path / "run")
    shutil.copytree(informed.run, chain.run)
    quick = ("stage2.training.epochs=1", "stage3.training.epochs=1", "folds=2", "stage2.modalities=[visual,text]")
    result = chain._call(studies, *arguments, settings=None if arguments[0] == "missing" else quick)
    assert result.exit_code == 0, result.output
    with (chain.run / table).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows and "weighted" in result.output
    if arguments[0] == "ablate":
        assert "Shapley" not in (chain.run / "test" / "report.html").read_text(encoding="utf-8")
        went_through(chain.stages_2_and_3(*quick))  # of the recipe that was ablated
        assert "Shapley" in (chain.run / "test" / "report.html").read_text(encoding="utf-8")


def test_sessions_are_left_out_one_by_one(models: Path, tmp_path: Path) -> None:
    table = write_table(tmp_path / "plain.csv", informed=True, dialogues_per_class=3, utterances=3)
    with table.open(newline="", encoding="utf-8") as file:
        head, *rows = csv.reader(file)
    data = tmp_path / "IEMOCAP.csv"
    with data.open("w", newline="", encoding="utf-8") as file:
        named = [[f"Ses0{int(row[0]) % 3 + 1}F_impro{row[0]}", *row[1:]] for row in rows]
        csv.writer(file).writerows([head, *named])
    chain = chain_on(data, models, tmp_path)
    went_through([chain.embeddings()])
    groups = {(clip["group"], clip["split"]) for clip in chain.manifest()["clips"]}
    assert {split for _, split in groups} == {"train", "validation", "test"} and len(groups) == 3
    result = chain._call(studies, "sessions", settings=("stage2.training.epochs=1", "stage3.training.epochs=1"))
    assert result.exit_code == 0, result.output
    metrics = json.loads((chain.run / "sessions" / "metrics.json").read_text())
    assert metrics["rows"] == len(rows) and metrics["clips"] == 21
