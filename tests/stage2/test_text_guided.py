"""The text-guided fusion: what masks leave out, its statistics, its loss, its settings; its sums are in reference/."""

import numpy as np
import pytest
import torch
from torch import nn

from common.classification import classification_loss
from common.errors import CacheError, DataError, RecipeError
from common.losses import regression_loss
from common.schema import MODALITIES
from stage2_beit.text_guided import RowNorm, TextGuidedConfig, TextGuidedModel
from tests.stage2.small_fusion import check_learns

B, T, K = 3, 6, 4
PARTS = [130, 3, 4]
SMALL = {
    "visual_dim": 9,
    "audio_dim": 137,
    "text_dim": 11,
    "audio_parts": PARTS,
    "width": 16,
    "heads": 4,
    "branch": 6,
    "narrow_branch": 5,
    "classes": K,
    "loss": "cross-entropy",
}
DIMS = {"visual": 9, "audio": 137, "text": 11}


def small(seed=0, scramble=True, **changes):
    """A small model in evaluation mode; scrambled, so that no gain is 1, no bias 0, no statistic as it was made."""
    torch.manual_seed(seed)
    model = TextGuidedModel(TextGuidedConfig(**SMALL | changes)).eval()
    if scramble:
        for parameter in model.parameters():
            nn.init.normal_(parameter, std=0.3)
        for norm in norms(model):
            nn.init.normal_(norm.running_mean)
            nn.init.uniform_(norm.running_var, 0.5, 2)
    return model


def a_small_batch(seed=1):
    """A batch, and its labels."""
    generator = torch.Generator().manual_seed(seed)
    batch = {m: torch.randn(B, T, DIMS[m], generator=generator) for m in MODALITIES}
    batch |= {f"present_{m}": torch.rand(B, T, generator=generator) > 0.3 for m in MODALITIES}
    batch["frame_mask"] = torch.ones(B, T, dtype=torch.bool)
    batch["frame_mask"][1, 4:] = False
    target = torch.randint(0, K, (B, T), generator=generator)
    target[0, 1] = -1
    return batch, target


def norms(model):
    return [module for module in model.modules() if isinstance(module, RowNorm)]


def running(model):
    return [getattr(norm, name).clone() for norm in norms(model) for name in ("running_mean", "running_var")]


def with_junk(batch):
    """The same batch with something wild in every row that isn't there."""
    other = {m: batch[m].clone() for m in MODALITIES}
    for m, junk in zip(MODALITIES, (1e30, torch.nan, -5.0), strict=True):
        other[m][~(batch[f"present_{m}"] & batch["frame_mask"])] = junk
    return batch | other


# Masks


@pytest.mark.parametrize("training", [False, True])
def test_no_bit_depends_on_what_an_absent_or_padded_row_holds(training):
    batch, target = a_small_batch()
    ours, theirs = small(dropout=0.0).train(training), small(dropout=0.0).train(training)
    one, other = ours(**batch, labels=target), theirs(**with_junk(batch), labels=target)
    assert torch.equal(one.refined, other.refined) and torch.equal(one.prediction, other.prediction)
    for a, b in zip(running(ours), running(theirs), strict=True):
        assert torch.equal(a, b)
    other.loss.backward()
    assert all(torch.isfinite(p.grad).all() for p in theirs.parameters() if p.grad is not None)


@pytest.mark.parametrize("training", [False, True])
def test_padding_changes_nothing_at_the_rows(training):
    batch, target = a_small_batch()
    padded = {name: torch.cat([x, torch.randn_like(x.float()).to(x.dtype)], dim=1) for name, x in batch.items()}
    padded["frame_mask"][:, T:] = False
    short, long = small(dropout=0.0).train(training), small(dropout=0.0).train(training)
    frames = batch["frame_mask"]
    one = short(**batch, labels=target)
    other = long(**padded, labels=torch.cat([target, torch.full_like(target, 2)], dim=1))
    assert torch.allclose(one.prediction[frames], other.prediction[:, :T][frames], atol=1e-6)
    assert one.loss.item() == pytest.approx(other.loss.item(), abs=1e-6)
    for a, b in zip(running(short), running(long), strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def test_in_evaluation_no_row_depends_on_another():
    model, (batch, _) = small(), a_small_batch()
    out = model(**batch)
    for b, t in batch["frame_mask"].nonzero().tolist():
        alone = model(**{name: x[b : b + 1, t : t + 1] for name, x in batch.items()})
        assert torch.allclose(alone.refined[0, 0], out.refined[b, t], atol=1e-6)
        assert torch.allclose(alone.prediction[0, 0], out.prediction[b, t], atol=1e-6)


@pytest.mark.parametrize("modality", ["audio", "visual"])
def test_what_is_absent_adds_nothing_to_the_text(modality):
    """As if its attention answered zero: only the residual is left."""
    model, (batch, _) = small(), a_small_batch()
    there = batch[f"present_{modality}"].clone()
    nothing = model(**batch | {f"present_{modality}": torch.zeros_like(there)}).refined
    everything = model(**batch).refined
    frames = batch["frame_mask"]
    assert torch.equal(everything[frames & ~there], nothing[frames & ~there])
    assert not torch.allclose(everything[frames & there], nothing[frames & there], atol=1e-2)
    attention = getattr(model.asks, modality)
    with torch.no_grad():
        attention.out_proj.weight.zero_()
        attention.out_proj.bias.zero_()
    assert torch.allclose(model(**batch).refined, nothing, atol=1e-6)


def test_absent_text_is_a_learned_vector():
    model, (batch, _) = small(), a_small_batch()
    absent = torch.zeros_like(batch["present_text"])
    given = batch | {"text": model.inputs["text"].absent.detach().expand(B, T, -1)}
    expected = model(**given | {"present_text": ~absent}).prediction
    assert torch.allclose(model(**batch | {"present_text": absent}).prediction, expected, atol=1e-6)


def test_windows_and_rows_with_nothing_in_them_are_finite_also_in_training():
    for empty in ([2], [0, 1, 2]):
        model, (batch, target) = small().train(), a_small_batch()
        for m in MODALITIES:
            batch[f"present_{m}"][empty] = False
        batch["frame_mask"][empty[-1]] = False
        out = model(**batch, labels=target)
        out.loss.backward()
        assert torch.isfinite(out.prediction).all() and torch.isfinite(out.loss)
        assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


# Batch normalisation


def test_statistics_are_over_the_rows_that_are_there():
    model, (batch, _) = small(dropout=0.0).train(), a_small_batch()
    before = [norm.running_mean.clone() for norm in norms(model)]
    model(**batch)
    for m, branches in {"visual": [model.visual], "audio": [*model.audio.wide, model.audio.narrow]}.items():
        there = batch[f"present_{m}"] & batch["frame_mask"]
        assert not there.all()
        columns = batch[m][there].split(PARTS, dim=-1) if m == "audio" else [batch[m][there]]
        columns = [columns[0], torch.cat(columns[1:], dim=-1)] if m == "audio" else columns
        for branch, x in zip(branches, columns, strict=True):
            y = branch[0](x).relu().double()
            index = norms(model).index(branch[2])
            mean = 0.9 * before[index] + 0.1 * y.mean(dim=0)
            torch.testing.assert_close(branch[2].running_mean.double(), mean.double(), atol=1e-6, rtol=1e-6)
            assert branch[2].num_batches_tracked == 1


def test_training_normalises_by_the_batch_and_evaluation_by_the_running_statistics():
    rows = torch.randn(50, 6, generator=torch.Generator().manual_seed(0)) * 3 + 2
    norm = RowNorm(6)
    assert torch.allclose(norm(rows).mean(dim=0), torch.zeros(6), atol=1e-5)
    expected = nn.BatchNorm1d(6)
    expected(rows)
    assert torch.equal(norm.eval()(rows), expected.eval()(rows))
    assert not torch.allclose(norm(rows).mean(dim=0), torch.zeros(6), atol=0.5)


@pytest.mark.parametrize("count", [0, 1])
def test_a_training_batch_of_fewer_than_two_rows_uses_the_running_statistics(count):
    batch, target = a_small_batch()
    for m in ("visual", "audio"):
        there = torch.zeros(B, T, dtype=torch.bool)
        there[0, :count] = True
        batch[f"present_{m}"] = there
    model, expected = small(dropout=0.0).train(), small(dropout=0.0)
    before = running(model)
    out = model(**batch, labels=target)
    assert torch.equal(out.prediction, expected(**batch).prediction)
    out.loss.backward()
    for a, b in zip(running(model), before, strict=True):
        assert torch.equal(a, b)
    assert all(norm.num_batches_tracked == 0 for norm in norms(model))


# Attention


def test_over_one_key_nothing_is_asked():
    """Queries and keys change nothing and learn nothing; values do."""
    model, (batch, target) = small(), a_small_batch()
    out = model(**batch, labels=target, output_attentions=True)
    assert out.attentions is None
    out.loss.backward()
    width = SMALL["width"]
    for attention in (model.asks.audio, model.asks.visual):
        assert not attention.q_proj_weight.grad.any() and not attention.k_proj_weight.grad.any()
        assert attention.v_proj_weight.grad.any()
        assert not attention.in_proj_bias.grad[: 2 * width].any() and attention.in_proj_bias.grad[2 * width :].any()
        with torch.no_grad():
            attention.q_proj_weight.mul_(-3)
            attention.k_proj_weight.add_(1)
    assert torch.allclose(model(**batch).refined, out.refined, atol=1e-6)


# Loss and gradient


def test_every_parameter_that_can_learn_gets_a_gradient():
    model, (batch, target) = small(), a_small_batch()
    model(**batch, labels=target).loss.backward()
    without = {name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()}
    silent = {f"asks.{m}.{name}_proj_weight" for m in ("audio", "visual") for name in "qk"}
    # Absent sound and picture have no vector: nothing is added.
    assert without == silent | {"inputs.audio.absent", "inputs.visual.absent"}


def test_the_loss_is_the_configured_one_over_labelled_rows():
    batch, target = a_small_batch()
    masked = torch.where(batch["frame_mask"], target, -1)
    chosen = {"loss": "focal", "focal_gamma": 1.0, "class_weights": [1.0, 2.0, 3.0, 4.0], "label_smoothing": 0.1}
    out = small(**chosen)(**batch, labels=target)
    expected = classification_loss(out.prediction, masked, "focal", gamma=1, weights=[1, 2, 3, 4], smoothing=0.1)
    assert torch.allclose(out.loss, expected, rtol=1e-6)
    wild = target.masked_fill(~batch["frame_mask"], 99)
    assert torch.equal(small(**chosen)(**batch, labels=wild).loss, out.loss)
    assert small()(**batch).loss is None


def test_without_classes_it_predicts_valence_and_arousal():
    batch, _ = a_small_batch()
    target = torch.rand(B, T, 2) * 2 - 1
    target[0, 2] = torch.nan
    out = small(classes=0, loss="ccc")(**batch, labels=target)
    masked = torch.where(batch["frame_mask"][..., None], target, torch.nan)
    assert out.prediction.shape == (B, T, 2)
    assert torch.equal(out.loss, regression_loss(out.prediction, masked, "ccc"))


@pytest.mark.parametrize("scramble", [True, False])
def test_mixed_precision_is_close_and_has_a_finite_gradient(scramble):
    model, (batch, target) = small(scramble=scramble, dropout=0.0).train(), a_small_batch()
    with torch.autocast("cpu", torch.bfloat16):
        out = model(**batch, labels=target)
    out.loss.backward()
    assert out.loss.dtype == torch.float32
    plain = small(scramble=scramble, dropout=0.0).train()(**batch).prediction
    assert torch.allclose(out.prediction.float(), plain, atol=0.1)
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_it_learns():
    model, (batch, target) = small(scramble=False, dropout=0.0).train(), a_small_batch()
    for m in MODALITIES:
        batch[f"present_{m}"][:] = True
    check_learns(model, batch, target)


# Dropout


def test_evaluation_is_repeatable_and_training_is_not():
    model, (batch, _) = small(dropout=0.3), a_small_batch()
    assert torch.equal(model(**batch).prediction, model(**batch).prediction)
    model.train()
    assert not torch.equal(model(**batch).prediction, model(**batch).prediction)


def test_modality_dropout_is_for_training_alone():
    (batch, _), changes = a_small_batch(), {"dropout": 0.0, "modality_dropout": 0.7}
    assert torch.equal(small(**changes)(**batch).prediction, small(dropout=0.0)(**batch).prediction)
    dropped, kept = small(**changes).train(), small(dropout=0.0).train()
    assert not torch.equal(dropped(**batch).prediction, kept(**batch).prediction)


# Settings, saving


def test_the_defaults_are_the_sources():
    model = TextGuidedModel(TextGuidedConfig(audio_parts=[512, 25, 25], classes=7, loss="focal"))
    shapes = {name: tuple(p.shape) for name, p in model.named_parameters() if p.dim() == 2}
    expected = {
        "text.0.weight": (512, 768),
        "audio.wide.0.0.weight": (256, 512),
        "audio.narrow.0.weight": (128, 50),
        "audio.combined.0.weight": (256, 384),
        "visual.0.weight": (256, 512),
        "asks.audio.q_proj_weight": (512, 512),
        "asks.audio.v_proj_weight": (512, 256),
        "asks.combined.0.weight": (512, 1024),
        "head.0.weight": (256, 512),
        "head.3.weight": (7, 256),
    }
    assert expected.items() <= shapes.items()
    dropouts = [module.p for module in model.modules() if isinstance(module, nn.Dropout)]
    assert dropouts == [0.3] * 5 and model.asks.audio.num_heads == 8


def test_the_sound_can_be_one_part():
    model = small(audio_parts=None)
    assert [name for name, _ in model.audio.named_children()] == ["wide", "combined"] and len(model.audio.wide) == 1
    narrow = small(audio_parts=None, audio_dim=5)
    assert len(narrow.audio.wide) == 0 and narrow.audio.narrow[0].in_features == 5


def test_features_are_standardised_by_the_training_statistics():
    model, (batch, _) = small(), a_small_batch()
    rng = np.random.default_rng(3)
    stats = {m: (rng.normal(size=DIMS[m]), rng.uniform(0.5, 2, DIMS[m])) for m in MODALITIES}
    plain = model(**batch).prediction
    raw = {m: batch[m] * torch.tensor(stats[m][1]).float() + torch.tensor(stats[m][0]).float() for m in MODALITIES}
    model.set_statistics(stats)
    assert torch.allclose(model(**batch | raw).prediction, plain, atol=1e-4)
    assert not torch.allclose(model(**batch).prediction, plain, atol=1e-2)
    with pytest.raises(DataError, match=r"statistics of the audio features .* expects \(137,\)"):
        model.set_statistics({"audio": (np.zeros(9), np.ones(9))})


@pytest.mark.parametrize("scramble", [True, False])
def test_saved_and_loaded_it_is_the_same_model(tmp_path, scramble):
    model, (batch, target) = small(scramble=scramble, class_weights=[1.0, 2.0, 3.0, 4.0]), a_small_batch()
    model.set_statistics({"visual": (np.arange(9), np.arange(1, 10))})
    model.train()(**batch)  # the running statistics move
    model.eval().save_pretrained(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "model.safetensors"]
    loaded, info = TextGuidedModel.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(info.values()) and not loaded.training
    ours, theirs = model.state_dict(), loaded.state_dict()
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)
    ours, theirs = model(**batch, labels=target), loaded(**batch, labels=target)
    assert torch.equal(ours.prediction, theirs.prediction) and torch.equal(ours.loss, theirs.loss)
    assert loaded.config.audio_parts == PARTS and loaded.config.model_type == "maven-text-guided"


def test_fresh_weights_are_torchs_own_and_equal_for_equal_seeds():
    first, again, other = (small(seed, scramble=False).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    weight = first["audio.wide.0.0.weight"]
    assert not torch.equal(weight, other["audio.wide.0.0.weight"])
    bound = 130**-0.5
    assert 0.9 * bound < weight.abs().max() <= bound and first["audio.wide.0.0.bias"].abs().max() <= bound
    assert first["visual.2.running_var"].eq(1).all() and not first["asks.audio.in_proj_bias"].any()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"audio_parts": [130, 3]}, r"audio_parts is \[130, 3\], and the audio features are 137 wide"),
        ({"audio_parts": [137, 0]}, "each 1 or more"),
        ({"heads": 3}, "3 attention heads don't divide a width of 16"),
        ({"loss": "mse"}, "classes is 4, and loss is mse"),
        ({"loss": "mae"}, "loss is 'mae'"),
    ],
)
def test_settings_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(RecipeError, match=message):
        small(**changes)


def test_features_of_another_width_are_refused():
    batch, _ = a_small_batch()
    with pytest.raises(CacheError, match="audio features are 7 wide; the model was made for 137"):
        small()(**batch | {"audio": torch.zeros(B, T, 7)})
