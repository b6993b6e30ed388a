"""What both heads must do, the polar one and that of classes."""

import numpy as np
import pytest
import torch

from common.errors import DataError


def check_standardised(make, rows):
    """That rows are standardised by the statistics that a head is given; a column without any spread is left out."""
    head, width = make(), rows.shape[1]
    plain = head(rows).prediction
    rng = np.random.default_rng(0)
    mean, std = rng.normal(size=width), rng.uniform(0.5, 2, width)
    std[4] = 0.0
    raw = rows * torch.tensor(std).float() + torch.tensor(mean).float()
    head.set_statistics(mean, std)
    without = rows.clone()
    without[:, 4] = 0
    assert torch.allclose(head(raw).prediction, make()(without).prediction, atol=1e-5)
    assert not torch.allclose(head(rows).prediction, plain, atol=1e-2)
    with pytest.raises(DataError, match=rf"statistics of the refined features .* expects \({width},\)"):
        head.set_statistics(np.zeros(3), np.ones(3))


def loaded_again(head, folder):
    """A head as it comes back from a folder, its weights being the same."""
    head.save_pretrained(folder)
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]
    loaded, info = type(head).from_pretrained(folder, output_loading_info=True)
    assert not any(info.values()) and not loaded.training
    for name, value in head.state_dict().items():
        assert torch.equal(value, loaded.state_dict()[name])
    return loaded


def loss_after_training(head, rows, target):
    """The loss of the last of 150 steps."""
    optimiser = torch.optim.Adam(head.parameters(), 1e-2)
    for _ in range(150):
        loss = head(rows, target).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return loss.item()
