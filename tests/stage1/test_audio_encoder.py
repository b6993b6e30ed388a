"""Speech models of both kinds: hops, streams, windows, and what is refused."""

from __future__ import annotations

import json
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers as tf
from transformers import AutoFeatureExtractor, AutoModel

from common.errors import MediaError, ModelError
from common.recipe import AudioEncoder as Settings
from common.timeline import AUDIO_RATE_HZ, hop_centres_s
from stage1_embeddings.encoders.audio import AudioEncoder
from stage1_embeddings.encoders.miniature import miniature_folder
from tests.stage1.encoder_folders import SPEECH, save, speech_folder, text_folder

WAVEFORM = tuple(name for name in SPEECH if name != "whisper")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("speech")


def encoder(folder: Path, **settings: object) -> AudioEncoder:
    return AudioEncoder(folder, Settings.model_validate({"model": str(folder)} | settings), "cpu")


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    """Noise whose loudness and colour change, so that it matters where a hop is."""
    rng = np.random.default_rng(seed)
    count = round(seconds * AUDIO_RATE_HZ)
    time_s = np.arange(count) / AUDIO_RATE_HZ
    swell = 0.2 + 0.15 * np.sin(2 * np.pi * 1.7 * time_s)
    return (swell * (rng.normal(0, 0.3, count) + np.sin(2 * np.pi * (200 + 80 * time_s) * time_s))).astype(np.float32)


def extracted(folder: Path, wave: np.ndarray) -> torch.Tensor:
    values = AutoFeatureExtractor.from_pretrained(folder)(wave, sampling_rate=AUDIO_RATE_HZ, return_tensors="pt")
    return values.get("input_values", values.get("input_features"))


@pytest.mark.parametrize("name", WAVEFORM)
def test_sound_of_one_window_gives_what_the_model_and_its_processor_give(name: str, root: Path) -> None:
    folder = speech_folder(name, root)
    model = AutoModel.from_pretrained(folder).eval()
    with torch.no_grad():
        expected = model(extracted(folder, noise(3))).last_hidden_state[0].numpy()
    network = encoder(folder)
    found, centres_s = network(noise(3))
    assert (network.hop_samples, network.field_samples) == (320, 400)
    assert found.shape == (149, network.dim) and found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=2e-4)
    np.testing.assert_array_equal(centres_s, hop_centres_s(149, hop_samples=320, field_samples=400))


def test_whisper_gives_its_encoders_hops_up_to_the_end_of_the_sound(root: Path) -> None:
    folder = speech_folder("whisper", root)
    model = AutoModel.from_pretrained(folder).eval().get_encoder()
    with torch.no_grad():
        expected = model(extracted(folder, noise(2.51))).last_hidden_state[0].numpy()
    network = encoder(folder, context_s=1.0)
    found, centres_s = network(noise(2.51))
    assert expected.shape[0] == 200 and found.shape == (126, network.dim)  # 40 160 samples, 320 a hop
    np.testing.assert_allclose(found, expected[:126], atol=1e-5)
    np.testing.assert_allclose(centres_s, np.arange(126) * 0.02)


@pytest.mark.parametrize("name", ["hubert-group", "hubert-layer", "whisper"])
def test_a_hop_lies_where_its_centre_says(name: str, root: Path) -> None:
    """A hiss of 20 ms is felt around its own time, before attention carries it on."""
    folder = speech_folder(name, root)
    network = encoder(folder, context_s=1.0)
    model = network._network.model
    layers = model.layers if name == "whisper" else model.encoder.layers
    while len(layers):  # convolutions alone: attention spreads it over the window
        del layers[0]
    plain, hiss = noise(3), np.random.default_rng(3).normal(0, 0.1, 320).astype(np.float32)
    for at_s in (0.77, 1.5):
        hissing = plain.copy()
        first = round(at_s * AUDIO_RATE_HZ) - 160
        hissing[first : first + 320] += hiss
        (before, centres_s), (after, _) = network(plain), network(hissing)
        change = np.linalg.norm(after - before, axis=1)
        # Normalising spreads a little of it everywhere; positional convolutions reach 0.16 s to either side.
        change = np.clip(change - 0.3 * change.max(), 0, None)
        assert abs((change * centres_s).sum() / change.sum() - at_s) < 0.02


@pytest.mark.parametrize("name", SPEECH)
@pytest.mark.parametrize("batch_size", [1, 3])
def test_however_a_stream_is_cut_its_features_are_the_same_bit_for_bit(name: str, batch_size: int, root: Path) -> None:
    wave = noise(9.13)
    network = encoder(speech_folder(name, root), chunk_s=1.0, context_s=0.5, batch_size=batch_size)
    whole, _ = network(wave)
    assert len(whole) == (457 if name == "whisper" else 456)
    rng = np.random.default_rng(5)
    for cuts in ([], [1, 2, 3, 399, 400, 401, 20_000], sorted(rng.integers(0, len(wave), 60))):
        stream = network.stream()
        parts = [stream.add(piece) for piece in np.split(wave, cuts)]
        rest = stream.close()
        assert np.array_equal(np.concatenate([*parts, rest]), whole), cuts
        assert batch_size > 1 or sum(map(len, parts)) > 0


@pytest.mark.parametrize("name", ["hubert-group", "whisper"])
def test_every_length_gives_its_hops(name: str, root: Path) -> None:
    """Around the borders of windows, where an off-by-one would lose or repeat a hop."""
    network = encoder(speech_folder(name, root), chunk_s=0.2, context_s=0.1 if name != "whisper" else 1.9)
    window = network._listener.samples_in(network._listener.window_hops)
    step = 10 * network.hop_samples
    for samples in (window + border + more for border in (0, step, 2 * step) for more in (-321, -1, 0, 1, 319, 320)):
        features, centres_s = network(noise(samples / AUDIO_RATE_HZ))
        hops = -(-samples // 320) if name == "whisper" else (samples - 400) // 320 + 1
        assert len(features) == len(centres_s) == hops, samples


@pytest.mark.parametrize(("samples", "hops"), [(0, 0), (399, 0), (400, 1), (719, 1), (720, 2)])
def test_sound_shorter_than_a_field_has_no_hop(models: Path, samples: int, hops: int) -> None:
    network = encoder(miniature_folder("audio", models))
    features, centres_s = network(np.ones(samples, np.float32))
    assert len(features) == len(centres_s) == hops and features.shape[1] == network.dim


def test_whisper_gives_nothing_for_nothing(root: Path) -> None:
    network = encoder(speech_folder("whisper", root), context_s=1.0)
    assert network(np.zeros(0, np.float32))[0].shape == (0, network.dim)


@pytest.mark.parametrize("name", WAVEFORM)
def test_windows_give_what_the_whole_gives(name: str, root: Path, shared: Callable[[str], Path]) -> None:
    """44 s of one voice; docs/encoders.md has the figures of longer and mixed recordings."""
    from common.media import decode

    sound = decode.audio(shared("audio/jfk.flac"))
    assert sound is not None
    wave = np.tile(sound.samples, 4)
    folder = speech_folder(name, root)
    whole, _ = encoder(folder, chunk_s=1000.0, context_s=0.0)(wave)

    def against_whole(context_s: float) -> tuple[np.ndarray, np.ndarray]:
        found, _ = encoder(folder, chunk_s=12.0, context_s=context_s)(wave)
        size = np.linalg.norm(found, axis=1) * np.linalg.norm(whole, axis=1)
        spread = np.linalg.norm(whole - whole.mean(axis=0), axis=1).mean()
        return (found * whole).sum(axis=1) / size, np.linalg.norm(found - whole, axis=1) / spread

    cosine, error = against_whole(2.0)
    assert cosine.min() > 0.95 and cosine.mean() > 0.998
    seams = [round((2 + 12 * number) * 50) for number in (1, 2)]
    at_seams = np.concatenate([error[seam - 10 : seam + 10] for seam in seams])
    assert at_seams.mean() < 1.5 * error.mean()  # a seam is no worse than the rest
    _, bare = against_whole(0.0)
    bare_seams = np.concatenate([bare[12 * 50 * number - 10 : 12 * 50 * number + 10] for number in (1, 2)])
    assert bare_seams.mean() > 2 * at_seams.mean()  # and that is the context's doing


def test_memory_is_constant_in_the_length(root: Path) -> None:
    network = encoder(speech_folder("hubert-group", root), chunk_s=1.0, context_s=0.5, batch_size=2)
    second = noise(1)

    def peak(seconds: int) -> int:
        stream = network.stream()
        tracemalloc.start()
        for _ in range(seconds):
            stream.add(second)
        stream.close()
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(10)
    assert peak(60) < 1.1 * peak(15)


def test_a_closed_stream_takes_no_more(root: Path) -> None:
    stream = encoder(speech_folder("hubert-group", root)).stream()
    stream.close()
    with pytest.raises(RuntimeError, match="closed"):
        stream.add(noise(1))
    with pytest.raises(RuntimeError, match="closed"):
        stream.close()


def test_sound_that_is_no_sound_is_refused(root: Path) -> None:
    stream = encoder(speech_folder("hubert-group", root)).stream()
    with pytest.raises(ValueError, match=r"shape \(2, 3\), not one channel"):
        stream.add(np.zeros((2, 3), np.float32))
    with pytest.raises(MediaError, match="aren't finite"):
        stream.add(np.array([0.0, np.nan], np.float32))


def test_a_model_that_hears_nothing_is_refused(root: Path) -> None:
    folder = text_folder("bert", root)
    with pytest.raises(ModelError, match="is a bert model, which takes input_ids, not sound"):
        encoder(folder)


def test_a_model_of_neither_kind_is_refused(tmp_path: Path) -> None:
    config = tf.ASTConfig(
        hidden_size=48, num_hidden_layers=1, num_attention_heads=4, intermediate_size=96, max_length=64
    )
    folder = save(lambda: tf.ASTModel(config), tmp_path / "m", {})
    with pytest.raises(ModelError, match="listens neither as HuBERT does nor as Whisper"):
        encoder(folder)


def changed(source: Path, folder: Path, file: str, **values: object) -> Path:
    shutil.copytree(source, folder)
    path = folder / file
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
    return folder


def test_faults_of_the_preprocessor_are_named(root: Path, tmp_path: Path) -> None:
    hubert, whisper = speech_folder("hubert-group", root), speech_folder("whisper", root)
    name = "preprocessor_config.json"
    with pytest.raises(ModelError, match="listens at 48000 Hz"):
        encoder(changed(hubert, tmp_path / "a", name, sampling_rate=48_000))
    with pytest.raises(ModelError, match="hears 4 s by its config.json, 30 s by its preprocessor_config.json"):
        encoder(changed(whisper, tmp_path / "b", name, chunk_length=30))
    with pytest.raises(ModelError, match="takes 80 mel bins by its config.json, 128 by its"):
        encoder(changed(whisper, tmp_path / "c", name, feature_size=128), context_s=1.0)
    (tmp_path / "a" / name).unlink()
    with pytest.raises(ModelError, match="doesn't say how its waveform is normalised"):
        encoder(tmp_path / "a")


def test_context_must_leave_whisper_something(root: Path) -> None:
    with pytest.raises(ModelError, match="context_s is 2, but .* hears 4 s at once. Set it below 2"):
        encoder(speech_folder("whisper", root), context_s=2.0)


def test_an_adapter_that_changes_the_rate_is_refused(tmp_path: Path) -> None:
    config = tf.Wav2Vec2Config(
        hidden_size=48,
        num_hidden_layers=1,
        num_attention_heads=4,
        intermediate_size=96,
        conv_dim=[24] * 7,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=2,
        add_adapter=True,
    )
    folder = save(lambda: tf.Wav2Vec2Model(config), tmp_path / "m", {"do_normalize": True, "sampling_rate": 16_000})
    with pytest.raises(ModelError, match="something after them changes the rate"):
        encoder(folder)(noise(1))


@pytest.mark.parametrize("name", SPEECH)
def test_bfloat16_is_close_to_float32(name: str, root: Path) -> None:
    folder = speech_folder(name, root)
    exact, _ = encoder(folder, context_s=1.0)(noise(2))
    rough, _ = encoder(folder, context_s=1.0, precision="bfloat16")(noise(2))
    cosine = (rough * exact).sum(axis=1) / np.linalg.norm(rough, axis=1) / np.linalg.norm(exact, axis=1)
    assert rough.dtype == np.float32 and cosine.min() > 0.98 and not np.array_equal(rough, exact)
