"""Every real file beside the project through the real command; what must come out is written in real_files.yaml."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path
from typing import Any, ClassVar

import av
import numpy as np
import pytest
import yaml

from common.media import decode
from common.schema import FACE_BOX, TIME, WORD_END, WORD_START, WORD_TEXT, present
from common.store import read_attributes, read_clip, validate
from stage1_embeddings.faces.detect import iou
from tests.conftest import SHARED
from tests.integration.chain import Chain

pytestmark = [
    pytest.mark.shared_data,
    pytest.mark.skipif(not SHARED.is_dir(), reason="the real videos at ../shared/data are absent"),
]

EXPECTED: dict[str, dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("real_files.yaml").read_text())
WHOLE = [name for name, expected in EXPECTED.items() if "error" not in expected]
SEVERAL = "hard/severalfaces_short_hamilton_clip.mp4"
FACES = ("stage1.faces.detector=yunet", "stage1.faces.detect_width_px=320")
CUE = (0.5, 2.2)

#: GRID's grammar: a sentence has one word of each row.
GRID = (
    {"b": "bin", "l": "lay", "s": "set", "p": "place"},
    {"b": "blue", "g": "green", "r": "red", "w": "white"},
    {"a": "at", "b": "by", "i": "in", "w": "with"},
    {letter: letter for letter in "abcdefghijklmnopqrstuvxyz"},
    dict(zip("z123456789", "zero one two three four five six seven eight nine".split(), strict=True)),
    {"n": "now", "s": "soon", "p": "please", "a": "again"},
)


def sentence(name: str) -> list[str]:
    """The words that a GRID file's name spells."""
    return [words[sign] for words, sign in zip(GRID, Path(name).stem[-6:], strict=True)]


def extracted(chain: Chain, *settings: str) -> str:
    weights = SHARED / "weights" / "face_detection_yunet_2023mar.onnx"
    return chain.embeddings(*FACES, f"stage1.faces.weights={weights}", *settings).output


@pytest.fixture(scope="module")
def chain(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Chain:
    folder = tmp_path_factory.mktemp("real")
    (folder / "data").mkdir()
    for name in EXPECTED:
        shutil.copy(SHARED / name, folder / "data")
    shutil.copy(SHARED / "videos/grid_id2_swwp2s.align", folder / "data")
    for name in ("grid_bbaf2n", "grid_lwbsza"):
        cue = f"1\n00:00:0{CUE[0]:.3f} --> 00:00:0{CUE[1]:.3f}\n{' '.join(sentence(name))}\n"
        (folder / "data" / f"{name}.srt").write_text(cue)
    (folder / "cache").mkdir()
    (folder / "cache" / "models").symlink_to(models / "models")
    return Chain(folder / "data", folder / "cache", folder / "runs" / "real")


@pytest.fixture(scope="module")
def output(chain: Chain) -> str:
    return extracted(chain)


def arrays_of(chain: Chain, name: str) -> dict[str, Any]:
    path = chain.features(Path(name).stem)
    validate(path)
    return read_clip(path)


def runs(mask: np.ndarray) -> list[list[int]]:
    """First and last index of each stretch of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask, [0]]).astype(int)))
    return [[int(first), int(stop) - 1] for first, stop in edges.reshape(-1, 2)]


def shown_s(path: Path, index: int) -> list[float]:
    """Presentation times of a stream's packets, without those that the container discards."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(container.streams[index]) if packet.pts is not None]
        return sorted(float(packet.pts * packet.time_base) for packet in packets if not packet.is_discard)


def test_all_files_are_expected() -> None:
    videos = {".mp4", ".mov", ".mpg", ".webm"}
    found = {f"{path.parent.name}/{path.name}" for path in SHARED.glob("*/*") if path.suffix in videos}
    assert found == set(EXPECTED)


def test_a_file_that_breaks_is_named_and_the_others_are_done(chain: Chain, output: str) -> None:
    manifest = chain.manifest()
    assert {clip["id"] for clip in manifest["clips"]} == {Path(name).stem for name in WHOLE}
    (name,) = set(EXPECTED) - set(WHOLE)
    (failure,) = manifest["failures"]
    assert failure["id"] == Path(name).stem
    assert failure["problem"] == f"{chain.data / Path(name).name}: {EXPECTED[name]['error']}"
    assert "re-encode" in failure["cure"] and failure["problem"] in output


@pytest.mark.parametrize("name", WHOLE)
def test_frames_and_times(chain: Chain, output: str, name: str) -> None:
    expected, arrays = EXPECTED[name], arrays_of(chain, name)
    time_s = arrays[TIME]
    steps = np.diff(time_s)
    assert len(time_s) == expected["frames"]
    assert time_s[[0, -1]].tolist() == pytest.approx(expected["time_s"], abs=1e-6)
    assert [np.median(steps), steps.min(), steps.max()] == pytest.approx(expected["step_s"], abs=1e-6)
    rate_hz = read_attributes(chain.features(Path(name).stem))["frame_rate_hz"]
    assert rate_hz == pytest.approx(expected["rate_hz"], abs=1e-3)
    assert time_s.tolist() == pytest.approx(shown_s(SHARED / name, expected["streams"][0]), abs=1e-6)


@pytest.mark.parametrize("name", WHOLE)
def test_what_is_there_on_which_frames(chain: Chain, output: str, name: str) -> None:
    expected, arrays = EXPECTED[name], arrays_of(chain, name)
    assert runs(arrays[present("visual")]) == expected["face"]
    assert runs(arrays[present("audio")]) == expected["sound"]
    assert runs(arrays[present("text")]) == expected["text"]
    assert len(arrays[WORD_TEXT]) == (6 if expected["text"] else 0)


@pytest.mark.parametrize("name", WHOLE)
def test_sound_begins_and_ends(chain: Chain, output: str, name: str) -> None:
    expected, heard = EXPECTED[name], decode.audio(SHARED / name)
    if heard is None:
        assert expected["sound_s"] is None and expected["streams"][1] is None
        return
    end_s = heard.start_s + len(heard.samples) / heard.rate_hz
    assert [heard.start_s, end_s] == pytest.approx(expected["sound_s"], abs=1.5e-3) and heard.gaps == ()
    with av.open(str(SHARED / name)) as container:
        pieces = list(container.decode(container.streams[expected["streams"][1]]))
    lasts_s = [pieces[0].time, pieces[-1].time + pieces[-1].samples / pieces[-1].sample_rate]
    assert [heard.start_s, end_s] == pytest.approx(lasts_s, abs=1.5e-3)
    middle_s = np.array(arrays_of(chain, name)[TIME])
    middle_s += np.diff(middle_s, append=middle_s[-1] + np.median(np.diff(middle_s))) / 2
    assert runs((middle_s >= lasts_s[0]) & (middle_s < lasts_s[1])) == expected["sound"]


def test_words_of_an_alignment(chain: Chain, output: str) -> None:
    name = "videos/grid_id2_swwp2s.mpg"
    arrays = arrays_of(chain, name)
    lines = [line.split() for line in (SHARED / name).with_suffix(".align").read_text().splitlines()]
    said = [(int(start) / 25_000, int(end) / 25_000, word) for start, end, word in lines if word != "sil"]
    assert list(arrays[WORD_TEXT]) == [word for _, _, word in said] == sentence(name)
    assert arrays[WORD_START].tolist() == pytest.approx([start_s for start_s, _, _ in said])
    assert arrays[WORD_END].tolist() == pytest.approx([end_s for _, end_s, _ in said])
    for (start_s, end_s, word), (first, last) in zip(said, word_frames(arrays), strict=True):
        # Frames of 25 a second, those whose greater part the word covers.
        assert (abs(first - 25 * start_s) <= 1, abs(last + 1 - 25 * end_s) <= 1) == (True, True), word


@pytest.mark.parametrize("name", ["videos/grid_bbaf2n.mpg", "videos/grid_lwbsza.mpg"])
def test_words_of_one_cue_lie_within_it(chain: Chain, output: str, name: str) -> None:
    arrays = arrays_of(chain, name)
    assert list(arrays[WORD_TEXT]) == sentence(name)
    start_s, end_s = arrays[WORD_START], arrays[WORD_END]
    assert start_s[0] == pytest.approx(CUE[0]) and end_s[-1] == pytest.approx(CUE[1])
    assert start_s[1:].tolist() == pytest.approx(end_s[:-1].tolist()) and (end_s > start_s).all()
    frames = word_frames(arrays)
    assert frames[0][0] >= 25 * CUE[0] - 1 and frames[-1][1] <= 25 * CUE[1]
    assert [second[0] - first[1] for first, second in itertools.pairwise(frames)] == [1] * 5, "a hole, or an overlap"


def word_frames(arrays: dict[str, Any]) -> list[tuple[int, int]]:
    """First and last frame of each word, by the features: a frame has the vector of its word."""
    rows, mask = arrays["text"], arrays[present("text")]
    frames = np.flatnonzero(mask).tolist()
    same = [frames[:1]]
    for before, frame in itertools.pairwise(frames):
        if frame == before + 1 and np.array_equal(rows[before], rows[frame]):
            same[-1].append(frame)
        else:
            same.append([frame])
    return [(group[0], group[-1]) for group in same]


class TestEveryFace:
    """Tracks of a clip with cuts before frames 20, 82 and 211 and up to seven faces."""

    SHOTS = ((0, 19), (20, 81), (82, 210), (211, 274))
    #: Of a second at least, by number: first and last frame. Whose they are: docs/real_files.md.
    LONG: ClassVar = {
        4: (20, 81), 5: (20, 81), 6: (20, 81), 7: (50, 80), 8: (52, 81), 9: (82, 210),
        11: (211, 274), 12: (211, 274), 13: (211, 274), 14: (211, 274), 15: (211, 241),
    }  # fmt: skip

    @pytest.fixture(scope="class")
    def tracks(self, chain: Chain) -> dict[int, tuple[int, dict[str, Any]]]:
        """Number to first frame and arrays."""
        own = Chain(chain.data / Path(SEVERAL).name, chain.cache, chain.run.with_name("faces"))
        said = extracted(own, "stage1.faces.policy=all")
        assert "0 failed" in said, said
        clock = shown_s(SHARED / SEVERAL, 0)
        found = {}
        for clip in own.manifest()["clips"]:
            arrays = read_clip(own.features(clip["id"]))
            first = int(np.searchsorted(clock, arrays[TIME][0] - 1e-4))
            assert arrays[TIME].tolist() == pytest.approx(clock[first : first + len(arrays[TIME])], abs=1e-6)
            found[int(clip["id"].rpartition("face")[2])] = first, arrays
        return found

    def test_none_goes_across_a_cut(self, tracks: dict[int, tuple[int, dict[str, Any]]]) -> None:
        spans = {number: (first, first + len(arrays[TIME]) - 1) for number, (first, arrays) in tracks.items()}
        for first, last in spans.values():
            assert any(a <= first <= last <= b for a, b in self.SHOTS)
        assert spans == self.LONG

    def test_two_are_never_in_one_place(self, tracks: dict[int, tuple[int, dict[str, Any]]]) -> None:
        boxes: dict[int, list[np.ndarray]] = {}
        for first, arrays in tracks.values():
            for index in np.flatnonzero(arrays[present("visual")]):
                boxes.setdefault(first + int(index), []).append(arrays[FACE_BOX][index])
        pairs = [pair for several in boxes.values() for pair in itertools.combinations(several, 2)]
        assert len(pairs) > 300
        assert max(iou(one, other) for one, other in pairs) < 0.1

    def test_the_singer_is_there_throughout_his_shot(self, tracks: dict[int, tuple[int, dict[str, Any]]]) -> None:
        _, arrays = tracks[9]
        assert arrays[present("visual")].all()
        moved_px = np.abs(np.diff(arrays[FACE_BOX][:, :2], axis=0)).max()
        assert moved_px < 25, "the track jumps"
