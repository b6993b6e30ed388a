"""Masked attention, the six paths in both readings, and self-attention, against the equations."""

import pytest
import torch
from torch import nn

from common.errors import RecipeError
from common.schema import MODALITIES
from stage2_beit.attention import (
    PATHS,
    CrossModalAttention,
    SelfAttention,
    attention_weights,
    masked_attention,
    path_name,
)
from tests.reference import assert_close as close
from tests.reference import attention as reference
from tests.reference import weights

DIMS = {"visual": 12, "audio": 8, "text": 6}
B, T = 3, 7


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(5)


def arrays(module):
    return {name: value.detach().double().numpy() for name, value in module.state_dict().items()}


def some_features(missing=0.4):
    features = {m: torch.randn(B, T, DIMS[m]) for m in MODALITIES}
    present = {m: torch.rand(B, T) > missing for m in MODALITIES}
    present["text"][1] = False  # a window without a word
    return features, present


def test_masked_attention_is_eq_13():
    q, k, v = torch.randn(B, 2, T, 4), torch.randn(B, 2, T, 4), torch.randn(B, 2, T, 5)
    present = torch.rand(B, T) > 0.5
    present[2] = False
    out, maps = masked_attention(q, k, v, present), attention_weights(q, k, present)
    for b in range(B):
        for h in range(2):
            rows, expected = reference.attend(*(x[b, h].double().numpy() for x in (q, k, v)), present[b].numpy())
            close(out[b, h], rows)
            close(maps[b, h], expected)


def test_absent_keys_have_no_weight_whatever_they_hold():
    q, k, v = torch.randn(3, B, 1, T, 4)
    present = torch.rand(B, T) > 0.5
    other_k, other_v = (torch.where(present[:, None, :, None], x, 1e4 * torch.randn_like(x)) for x in (k, v))
    assert torch.equal(masked_attention(q, k, v, present), masked_attention(q, other_k, other_v, present))
    assert (attention_weights(q, k, present).masked_select(~present[:, None, None, :]) == 0).all()


def test_a_window_without_any_key_gives_zeros_and_no_nan_in_the_gradient():
    q, k, v = (torch.randn(2, 1, T, 4, requires_grad=True) for _ in range(3))
    present = torch.tensor([[False] * T, [True] * T])
    out = masked_attention(q, k, v, present)
    out.square().sum().backward()
    assert (out[0] == 0).all() and (out[1] != 0).any()
    for x in (q, k, v):
        assert (x.grad[0] == 0).all() and torch.isfinite(x.grad).all()
    assert (attention_weights(q, k, present)[0] == 0).all()


@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("pathway", ["paper", "released"])
def test_six_paths_are_eq_13_and_14(pathway, residual):
    module = CrossModalAttention(DIMS, d_k=5, pathway=pathway, residual=residual).eval()
    features, present = some_features()
    enhanced, maps = module(features, present, need_weights=True)
    matrices = weights.cross_modal(arrays(module))
    for b in range(B):
        expected, expected_maps = reference.cross_modal(
            {m: features[m][b].double().numpy() for m in MODALITIES},
            {m: present[m][b].numpy() for m in MODALITIES},
            pathway=pathway,
            residual=residual,
            **matrices,
        )
        for m in MODALITIES:
            close(enhanced[m][b], expected[m])
        assert set(maps) == set(expected_maps)
        for name, one in maps.items():
            close(one[b], expected_maps[name])


def test_the_two_readings_differ():
    features, present = some_features()
    outputs = []
    for pathway in ("paper", "released"):
        torch.manual_seed(0)
        outputs.append(CrossModalAttention(DIMS, d_k=5, pathway=pathway)(features, present)[0]["visual"])
    assert not torch.allclose(*outputs)


@pytest.mark.parametrize(("pathway", "projections"), [("paper", 9), ("released", 12)])
def test_two_paths_share_each_projection(pathway, projections):
    module = CrossModalAttention(DIMS, d_k=5, pathway=pathway)
    assert len(list(module.parameters())) == projections
    assert not any(name.endswith("bias") for name, _ in module.named_parameters())


def test_widths_of_the_paths_are_the_printed_ones():
    """A_{A->V} and A_{T->V} have the width of V: its values come from V."""
    module = CrossModalAttention(DIMS, d_k=5, pathway="paper")
    for m in MODALITIES:
        assert module.value[m].weight.shape == (DIMS[m], DIMS[m])
        assert module.query[m].weight.shape == module.key[m].weight.shape == (5, DIMS[m])


@pytest.mark.parametrize("pathway", ["paper", "released"])
def test_where_the_asking_modality_is_absent_its_path_adds_zero(pathway):
    module = CrossModalAttention(DIMS, d_k=5, pathway=pathway, residual=False).eval()
    features, present = some_features(missing=0)
    present = {m: torch.ones(B, T, dtype=torch.bool) for m in MODALITIES}
    present["visual"][:, 2] = False
    enhanced, maps = module(features, present, need_weights=True)
    assert len(maps) == len(PATHS) == 6
    for source, target in PATHS:
        asks = source if pathway == "paper" else target
        row = maps[path_name(source, target)][:, 2]
        assert bool((row == 0).all()) == (asks == "visual")
    if pathway == "released":
        assert (enhanced["visual"][:, 2] == 0).all()
    assert (enhanced["audio"][:, 2] != 0).any()


@pytest.mark.parametrize("pathway", ["paper", "released"])
def test_nothing_depends_on_absent_keys(pathway):
    module = CrossModalAttention(DIMS, d_k=5, pathway=pathway, residual=False).eval()
    features, present = some_features()
    others = {m: torch.where(present[m][..., None], features[m], 100.0) for m in MODALITIES}
    ours, theirs = module(features, present)[0], module(others, present)[0]
    assert all(torch.equal(ours[m], theirs[m]) for m in MODALITIES)


def test_an_unknown_pathway_is_refused():
    with pytest.raises(RecipeError, match="no pathway called 'both'"):
        CrossModalAttention(DIMS, d_k=5, pathway="both")


def test_self_attention_is_eq_18():
    module = SelfAttention(12, heads=3).eval()
    nn.init.normal_(module.norm.weight)
    nn.init.normal_(module.norm.bias)
    features, present = torch.randn(B, T, 12), torch.rand(B, T) > 0.4
    present[1] = False
    out = module(features, present)
    p = weights.self_attention(arrays(module))
    for b in range(B):
        close(out[b], reference.self_attention(features[b].double().numpy(), present[b].numpy(), p, heads=3))


def test_self_attention_is_torchs_own_layer():
    ours, theirs = SelfAttention(12, heads=4).eval(), nn.MultiheadAttention(12, 4, batch_first=True).eval()
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([x.weight for x in (ours.query, ours.key, ours.value)]))
        theirs.in_proj_bias.copy_(torch.cat([x.bias for x in (ours.query, ours.key, ours.value)]))
        theirs.out_proj.load_state_dict(ours.output.state_dict())
    x, present = torch.randn(B, T, 12), torch.rand(B, T) > 0.3
    multi, _ = theirs(x, x, x, key_padding_mask=~present, need_weights=False)
    assert torch.allclose(ours(x, present), nn.functional.layer_norm(multi + x, (12,)), atol=1e-5)


def test_heads_must_divide_the_width():
    with pytest.raises(RecipeError, match="5 attention heads don't divide a width of 12"):
        SelfAttention(12, heads=5)


@pytest.mark.parametrize("make", [lambda: SelfAttention(12, heads=4, dropout=0.5)])
def test_dropout_is_for_training_alone(make):
    module, x, present = make(), torch.randn(B, T, 12), torch.ones(B, T, dtype=torch.bool)
    module.train()
    assert not torch.equal(module(x, present), module(x, present))
    module.eval()
    assert torch.equal(module(x, present), module(x, present))


def test_dropout_of_the_paths_is_for_training_alone():
    module = CrossModalAttention(DIMS, d_k=5, dropout=0.5)
    features, present = some_features(missing=0)
    module.train()
    assert not torch.equal(module(features, present)[0]["visual"], module(features, present)[0]["visual"])
    module.eval()
    assert torch.equal(module(features, present)[0]["visual"], module(features, present)[0]["visual"])


def test_rows_of_a_long_window_are_taken_some_at_a_time(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    q, k = torch.randn(2, 2, 3, 23, 4, generator=generator)
    v = torch.randn(2, 3, 23, 6, generator=generator)
    present = torch.rand(2, 23, generator=generator) > 0.3
    present[0] = False
    found = []
    for elements in (23 * 23, 5 * 23):
        monkeypatch.setattr("stage2_beit.attention.MAP_ELEMENTS", elements)
        inputs = [x.clone().requires_grad_() for x in (q, k, v)]
        out = masked_attention(*inputs, present)
        out.square().sum().backward()
        with torch.inference_mode():
            torch.testing.assert_close(masked_attention(q, k, v, present), out)
        found.append([out, *(x.grad for x in inputs)])
    for whole, parts in zip(*found, strict=True):
        torch.testing.assert_close(parts, whole)
    calls = []
    monkeypatch.setattr("stage2_beit.attention._for_rows", lambda *given: calls.append(given[0].shape[2]) or given[0])
    masked_attention(q, k, k, present)
    assert calls == [5, 5, 5, 5, 3]


def test_dropped_weights_of_a_long_window_are_the_same_in_the_backward_pass(monkeypatch):
    monkeypatch.setattr("stage2_beit.attention.MAP_ELEMENTS", 3 * 12)
    torch.manual_seed(0)
    q, k = torch.randn(2, 1, 1, 12, 4)
    v = torch.eye(12)[None, None].requires_grad_()  # the output is the weights, and their column sums v's gradient
    weights = masked_attention(q, k, v, torch.ones(1, 12, dtype=torch.bool), dropout=0.5)
    assert (weights == 0).any() and (weights > 0).any()
    weights.sum().backward()
    torch.testing.assert_close(v.grad[0, 0], weights.detach()[0, 0].sum(0)[:, None].expand(12, 12))
