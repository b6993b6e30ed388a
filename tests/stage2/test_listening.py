"""Strength and attention of the six paths, against the maps, the equations in NumPy, and answers known beforehand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from common.artefacts import load_trained
from common.errors import CacheError
from common.manifest import read_manifest
from common.recipe import Window
from common.schema import MODALITIES
from common.windows import FeatureWindows, Place
from stage2_beit.attention import PATHS, CrossModalAttention, path_name
from stage2_beit.inputs import sinusoids
from stage2_beit.listening import clip_listening, cross_inputs, window_listening
from stage2_beit.model import FusionModel
from tests.integration.chain import Chain
from tests.reference import TOLERANCE, weights
from tests.reference import attention as reference
from tests.stage2.small_fusion import DIMS, B, T, a_batch, make

PATHWAYS = ("paper", "released")
VARIANTS: list[dict[str, Any]] = [
    {},
    {"positional": "sinusoidal", "cross_residual": False},
    {"temporal_layers": 2, "temporal_kernel_frames": 3},
]


def close(ours: Any, theirs: Any) -> None:
    np.testing.assert_allclose(ours, theirs, atol=TOLERANCE, rtol=TOLERANCE)


def batch_of(present: Any, frames: list[int], seed: int) -> dict[str, torch.Tensor]:
    """A batch with these masks (3, B, T), of windows that are padded after so many frames."""
    batch = a_batch(seed)
    batch |= {f"present_{m}": torch.tensor(mask) for m, mask in zip(MODALITIES, present, strict=True)}
    batch["frame_mask"] = torch.arange(T) < torch.tensor(frames)[:, None]
    return batch


@st.composite
def batches(draw: st.DrawFn) -> dict[str, torch.Tensor]:
    """Rows of each modality may be absent, all of them too; windows may be padded, all over too."""
    masks = st.lists(st.booleans(), min_size=T, max_size=T) | st.sampled_from([[False] * T, [True] * T])
    present = draw(st.lists(st.lists(masks, min_size=B, max_size=B), min_size=3, max_size=3))
    frames = draw(st.lists(st.integers(0, T), min_size=B, max_size=B))
    return batch_of(present, frames, draw(st.integers(0, 2**16)))


def before_the_paths(model: Any, batch: dict[str, torch.Tensor]) -> tuple[dict[str, Any], dict[str, Any]]:
    """F_m and the masks, (B, T, D) and (B, T), put together from the model's parts."""
    given_masks = {m: batch[f"present_{m}"] for m in MODALITIES}
    features, present = model.inputs(batch, given_masks, batch["frame_mask"])
    if model.config.positional == "sinusoidal":
        features = {m: x + sinusoids(x) for m, x in features.items()}
    return {m: model.temporal[m](x, present[m], batch["frame_mask"]) for m, x in features.items()}, present


def from_maps(model: Any, batch: dict[str, torch.Tensor]) -> tuple[Any, Any]:
    """Strength and attention (B, T, 6) from the whole maps that the model's forward returns."""
    maps = model(**batch, output_attentions=True).attentions
    features, present = before_the_paths(model, batch)
    found = []
    for source, target in PATHS:
        asks, answers = (source, target) if model.config.pathway == "paper" else (target, source)
        weight = maps[path_name(source, target)].double()
        path = weight @ model.cross.value[answers](features[answers]).double()
        if model.config.pathway == "released":
            path = path @ model.cross.output[target].weight.double().T
        strength = path.norm(dim=-1) / features[target].double().norm(dim=-1)
        keys, asking = (present[m].sum(dim=1, keepdim=True) for m in (answers, asks))
        strength[~(present[asks] & present[target] & (keys > 0))] = torch.nan
        attended = weight.sum(dim=1) * keys / asking
        attended[~(present[answers] & (asking > 0))] = torch.nan
        found.append((strength, attended))
    strengths, attention = (torch.stack(part, dim=-1).numpy() for part in zip(*found, strict=True))
    return strengths, attention


@settings(max_examples=40)
@given(
    batch=batches(),
    pathway=st.sampled_from(PATHWAYS),
    variant=st.sampled_from(VARIANTS),
    rows=st.sampled_from([None, 1, 2, 5, 100]),
)
@torch.no_grad()
def test_it_is_what_the_whole_maps_say(batch: dict[str, Any], pathway: str, variant: Any, rows: int | None) -> None:
    model = make(pathway=pathway, **variant)
    strength, attended = from_maps(model, batch)
    features, present = cross_inputs(model, batch)
    for b in range(B):
        one = {m: x[b] for m, x in features.items()}, {m: x[b] for m, x in present.items()}
        ours = window_listening(model.cross, *one, rows)
        close(ours[0], strength[b])
        close(ours[1], attended[b])


@pytest.mark.parametrize("pathway", PATHWAYS)
@torch.no_grad()
def test_it_is_what_the_equations_say(pathway: Any) -> None:
    torch.manual_seed(3)
    cross = CrossModalAttention(DIMS, d_k=5, pathway=pathway)
    features = {m: torch.randn(9, DIMS[m]) for m in MODALITIES}
    present = {m: torch.rand(9) > 0.3 for m in MODALITIES}
    ours = window_listening(cross, features, present, rows=2)
    W = weights.cross_modal({name: value.double().numpy() for name, value in cross.state_dict().items()})
    F = {m: x.double().numpy() for m, x in features.items()}
    for index, (m, n) in enumerate(PATHS):
        asks, keys = (m, n) if pathway == "paper" else (n, m)
        is_key = present[keys].numpy()
        A, maps = reference.attend(F[asks] @ W["W_Q"][asks], F[keys] @ W["W_K"][keys], F[keys] @ W["W_V"][keys], is_key)
        if pathway == "released":
            A = A @ W["W_O"][n]
        askers = [t for t in range(9) if present[asks][t]]
        for t in range(9):
            strength = np.linalg.norm(A[t]) / np.linalg.norm(F[n][t])
            close(ours[0][t, index], strength if present[asks][t] and present[n][t] else np.nan)
            share = sum(maps[row, t] for row in askers) / (len(askers) / is_key.sum())
            close(ours[1][t, index], share if is_key[t] else np.nan)


@settings(max_examples=25)
@given(batch=batches(), pathway=st.sampled_from(PATHWAYS))
@torch.no_grad()
def test_attention_is_shared_out_among_the_keys(batch: dict[str, Any], pathway: str) -> None:
    model = make(pathway=pathway)
    features, present = cross_inputs(model, batch)
    for b in range(B):
        one = {m: x[b] for m, x in features.items()}, {m: x[b] for m, x in present.items()}
        strength, attended = window_listening(model.cross, *one)
        assert not (strength < 0).any() and not (attended < 0).any()
        for index in range(len(PATHS)):
            shares = attended[np.isfinite(attended[:, index]), index]
            assert not len(shares) or shares.mean() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("pathway", PATHWAYS)
@torch.no_grad()
def test_planted_answers(pathway: Any) -> None:
    """Queries of 0 share evenly; where each frame asks for the third one, it gets all; a doubled value adds twice."""
    cross = CrossModalAttention(dict.fromkeys(MODALITIES, 4), d_k=4, pathway=pathway)
    for layer in (*cross.key.values(), *cross.value.values(), *cross.output.values()):
        layer.weight.copy_(torch.eye(4))
    for layer in cross.query.values():
        layer.weight.zero_()
    features = {m: torch.ones(6, 4) for m in MODALITIES}
    present = {m: torch.ones(6, dtype=torch.bool) for m in MODALITIES}
    present["audio"][1] = present["text"][:2] = False
    strength, attended = window_listening(cross, features, present)
    assert np.isfinite(attended).sum() == 2 * (6 + 5 + 4)  # each modality has the keys of two paths
    close(attended[np.isfinite(attended)], 1)
    close(strength[np.isfinite(strength)], 1)  # the mean of equal values, as long as what it is added to
    cross.value["text"].weight.mul_(2)
    doubled = window_listening(cross, features, present)[0]
    for index, path in enumerate(PATHS):
        keys = path[1] if pathway == "paper" else path[0]
        close(doubled[:, index], strength[:, index] * (2 if keys == "text" else 1))
    for layer in cross.query.values():
        layer.weight.copy_(50 * torch.eye(4))
    features = {m: torch.nn.functional.one_hot(torch.tensor([0, 0, 1, 0, 0, 0]), 4).float() for m in MODALITIES}
    features["visual"] = torch.tensor([[0, 1.0, 0, 0]] * 6)  # all of its frames ask for the third of the others
    attended = window_listening(cross, features, present)[1]
    for other, keys in (("audio", 5), ("text", 4)):
        path = ("visual", other) if pathway == "paper" else (other, "visual")
        column = attended[:, PATHS.index(path)]
        close(column[2], keys)
        close(column[3:], 0)


def test_features_of_zero_have_no_strength() -> None:
    cross = CrossModalAttention(DIMS, d_k=5, pathway="released")
    features = {m: torch.randn(4, DIMS[m]) for m in MODALITIES}
    features["audio"][2] = 0
    present = {m: torch.ones(4, dtype=torch.bool) for m in MODALITIES}
    with torch.no_grad():
        strength, attended = window_listening(cross, features, present)
    for index, (_, target) in enumerate(PATHS):
        assert np.isnan(strength[:, index]).tolist() == [False, False, target == "audio", False]
    assert np.isfinite(attended).all()


class Largest(TorchDispatchMode):
    """The number of elements of the largest tensor that is made while it is in force."""

    elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for one in made if isinstance(made, tuple | list) else (made,):
            if isinstance(one, torch.Tensor):
                self.elements = max(self.elements, one.numel())
        return made


@torch.no_grad()
def test_no_map_exists_as_a_whole() -> None:
    frames = 700
    model = make()
    batch = {name: value[:1] for name, value in a_batch(frames=frames).items()}
    with Largest() as maps:
        model(**batch, output_attentions=True)
    assert maps.elements >= frames**2  # what is measured does see a map
    with Largest() as ours:
        features, present = cross_inputs(model, batch)
        window_listening(model.cross, {m: x[0] for m, x in features.items()}, {m: x[0] for m, x in present.items()}, 9)
    assert ours.elements <= frames * max(DIMS.values())


@pytest.mark.parametrize("wrong", [False, True])
@torch.no_grad()
def test_a_forward_is_stopped_once_and_only_at_the_paths(wrong: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    model = make()
    batch = a_batch()
    before = model(**batch).refined
    with monkeypatch.context() as patch:
        patch.setattr(model.beit, "forward", lambda *_: pytest.fail("computed what nobody asked for"))
        if wrong:
            with pytest.raises(CacheError, match="visual features are 3 wide"):
                cross_inputs(model, batch | {"visual": batch["visual"][..., :3]})
        else:
            cross_inputs(model, batch)
    assert torch.equal(model(**batch).refined, before)


class Windows:
    """A clip in windows, as `FeatureWindows` would cut it."""

    def __init__(self, batch: dict[str, torch.Tensor], places: list[Any], frames: int) -> None:
        self.items = [{name: value[b].numpy() for name, value in batch.items()} for b in range(B)]
        self.places = places
        self.clips = [type("Clip", (), {"frames": frames})]

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.items[index] | {"labels": np.zeros(T)}


@settings(max_examples=25)
@given(batch=batches(), starts=st.sampled_from([(0, 3, 8), (0, 6, 8), (0, 1, 2)]))
@torch.no_grad()
def test_windows_that_overlap_are_averaged_where_they_have_a_number(batch: dict[str, Any], starts: Any) -> None:
    batch["frame_mask"][:] = True
    model = make()
    frames = starts[-1] + T
    found = clip_listening(model, Windows(batch, [Place(0, start, T) for start in starts], frames))  # type: ignore[arg-type]
    assert found.paths == tuple(path_name(*path) for path in PATHS)
    for ours, windows in zip((found.strength, found.attended), from_maps(model, batch), strict=True):
        assert ours.shape == (frames, 6) and ours.dtype == np.float32
        for t in range(frames):
            seen = [window[t - start] for window, start in zip(windows, starts, strict=True) if 0 <= t - start < T]
            for path in range(6):
                numbers = [row[path] for row in seen if np.isfinite(row[path])]
                close(ours[t, path], np.mean(numbers) if numbers else np.nan)


@pytest.mark.parametrize("frames", [1, 4])
@torch.no_grad()
def test_a_clip_shorter_than_its_window_has_numbers_of_its_own_frames_alone(frames: int) -> None:
    batch = batch_of(np.ones((3, B, T), dtype=bool), [frames] * B, seed=1)
    model = make()
    found = clip_listening(model, Windows(batch, [Place(0, 0, frames)], frames))  # type: ignore[arg-type]
    for ours, windows in zip((found.strength, found.attended), from_maps(model, batch), strict=True):
        assert ours.shape == (frames, 6)
        close(ours, windows[0, :frames])
        assert np.isfinite(ours).all() and np.isnan(windows[0, frames:]).all()


def test_a_withheld_modality_has_no_part_in_anything(finished: Chain) -> None:
    manifest = read_manifest(finished.run)
    model = load_trained(FusionModel, finished.run / "fusion", "cpu", made_by="make train-beit")
    for seen in (MODALITIES, ("visual", "audio"), ("text",)):
        window = Window(frames=16, hop_frames=8)
        data = FeatureWindows(finished.cache, manifest, manifest.clips[:1], window, modalities=seen)
        found = clip_listening(model, data)
        for index, path in enumerate(PATHS):
            for values in (found.strength, found.attended):
                assert np.isfinite(values[:, index]).any() == (set(path) <= set(seen))
