"""Gradient checkpointing changes what is kept, never what comes out."""

import pytest
import torch
from transformers import Trainer, TrainingArguments

from stage2_beit.beit import AdditiveBlock
from tests.stage2.small_fusion import VARIANTS, a_batch, labels, make
from tests.stage2.test_text_guided import a_small_batch, small

SIX_PATH = [*VARIANTS, {"block": "bare"}, {"attention": "beit", "arrangement": "parallel"}]


def step(model, batch, target, seed=5):
    """Loss, and gradients by name, of one training step."""
    model.train()
    torch.manual_seed(seed)
    model.zero_grad()
    loss = model(**batch, labels=target).loss
    loss.backward()
    return loss, {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def assert_same_step(plain, checkpointed, batch, target, twice):
    """``twice`` counts the calls of what is computed again."""
    loss, gradients = step(plain, batch, target)
    assert twice.pop("calls") == 1
    checkpointed.activation_checkpointing_enable()
    again, others = step(checkpointed, batch, target)
    assert twice.pop("calls") == 2
    assert torch.equal(loss, again)
    assert gradients.keys() == others.keys() and len(gradients) > 20
    for name, gradient in gradients.items():
        assert torch.allclose(gradient, others[name], rtol=0, atol=1e-6), name
    for name, value in plain.state_dict().items():
        assert torch.equal(value, checkpointed.state_dict()[name]), name  # no running statistic has moved twice


def counted(module, counts):
    """Counts calls as they begin: the second one ends as soon as all that was missing is there."""
    module.register_forward_pre_hook(lambda *_: counts.update(calls=counts.get("calls", 0) + 1))


@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("changes", SIX_PATH)
def test_six_paths_have_the_same_loss_and_gradients(changes, dropout):
    counts = {}
    plain, checkpointed = (make(scramble=False, dropout=dropout, **changes) for _ in range(2))
    for model in (plain, checkpointed):
        counted(model.beit.layers[0].attention, counts)
    assert_same_step(plain, checkpointed, a_batch(), labels(), counts)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_the_text_guided_fusion_has_the_same_loss_and_gradients(dropout):
    counts = {}
    plain, checkpointed = (small(dropout=dropout) for _ in range(2))
    for model in (plain, checkpointed):
        counted(model.asks.combined, counts)
    assert_same_step(plain, checkpointed, *a_small_batch(), counts)


@pytest.mark.parametrize("kind", ["additive", "beit", "text-guided"])
def test_the_trainer_switches_it_on(tmp_path, kind):
    model = small() if kind == "text-guided" else make(attention=kind)
    batch, target = a_small_batch() if kind == "text-guided" else (a_batch(), labels())
    rows = [{name: x[b] for name, x in (batch | {"labels": target}).items()} for b in range(2)]
    arguments = TrainingArguments(
        output_dir=str(tmp_path),
        activation_checkpointing=True,
        max_steps=1,
        per_device_train_batch_size=2,
        label_names=["labels"],
        remove_unused_columns=False,
        save_strategy="no",
        use_cpu=True,
        report_to="none",
        disable_tqdm=True,
    )
    assert not model.is_activation_checkpointing
    result = Trainer(model=model, args=arguments, train_dataset=rows).train()
    assert model.is_activation_checkpointing and result.training_loss > 0


def test_the_older_names_switch_it_on_and_off():
    counts = {}
    model = make()
    assert isinstance(model.beit.layers[0], AdditiveBlock)
    counted(model.beit.layers[0].attention, counts)
    with pytest.warns(FutureWarning):
        model.gradient_checkpointing_enable()
    step(model, a_batch(), labels())
    assert counts.pop("calls") == 2
    with pytest.warns(FutureWarning):
        model.gradient_checkpointing_disable()
    step(model, a_batch(), labels())
    assert counts == {"calls": 1}


def test_evaluation_keeps_nothing_anyway():
    counts = {}
    model, batch = make(), a_batch()
    plain = model(**batch).prediction
    counted(model.beit.layers[0].attention, counts)
    model.activation_checkpointing_enable()
    assert torch.equal(model(**batch).prediction, plain) and counts == {"calls": 1}
