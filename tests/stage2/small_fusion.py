"""A small fusion model and a batch for it, for the tests of stage 2."""

import numpy as np
import torch
from torch import nn

from common.schema import MODALITIES
from stage2_beit.config import FusionConfig
from stage2_beit.model import FusionModel

DIMS = {"visual": 12, "audio": 8, "text": 4}
B, T = 3, 6
SMALL = {"visual_dim": 12, "audio_dim": 8, "text_dim": 4, "d_k": 5, "heads": 2, "d_proj": 8, "beit_heads": 4}
VARIANTS = [
    {},
    {"pathway": "released", "block": "bare", "beit_layers": 3},
    {"attention": "beit", "positional": "sinusoidal", "cross_residual": False},
    {"arrangement": "parallel", "temporal_layers": 2, "temporal_kernel_frames": 3},
]


def make(seed=0, scramble=True, **changes):
    """A small model in evaluation mode; scrambled, so that no gain is 1 and no bias 0."""
    torch.manual_seed(seed)
    model = FusionModel(FusionConfig(**SMALL | {"mlp_ratio": 2.0} | changes)).eval()
    if scramble:
        for parameter in model.parameters():
            nn.init.normal_(parameter, std=0.4)
    return model


def a_batch(seed=1, frames=T):
    generator = torch.Generator().manual_seed(seed)
    batch = {m: torch.randn(B, frames, DIMS[m], generator=generator) for m in MODALITIES}
    batch |= {f"present_{m}": torch.rand(B, frames, generator=generator) > 0.3 for m in MODALITIES}
    batch["present_text"][0] = False
    batch["frame_mask"] = torch.ones(B, frames, dtype=torch.bool)
    batch["frame_mask"][1, 4:] = False
    return batch


def labels(seed=2, frames=T):
    values = torch.rand(B, frames, 2, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    values[0, 1] = torch.nan
    return values


def statistics(seed=3):
    rng = np.random.default_rng(seed)
    return {m: (rng.normal(size=DIMS[m]), rng.uniform(0.5, 2, DIMS[m])) for m in MODALITIES}


def check_learns(model, batch, target):
    """That sixty steps on one batch leave a tenth of its loss."""
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    losses = []
    for _ in range(60):
        loss = model(**batch, labels=target).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.1 * losses[0], losses
