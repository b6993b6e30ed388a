"""The text-guided fusion against float64 NumPy, with weights and running statistics that are all their own."""

import numpy as np
import pytest
import torch
from torch import nn

from common.schema import MODALITIES
from stage2_beit.text_guided import RowNorm, TextGuidedConfig, TextGuidedModel
from tests.reference import assert_close, text_guided

B, T, HEADS = 2, 8, 4
PARTS = {
    "wide and two narrow": [130, 3, 4],
    "two wide, a narrow between": [128, 5, 129],
    "one wide": [140],
    "narrow ones": [6, 127],
}


def make(parts, classes):
    """In evaluation mode; scrambled, so that no gain is 1, no bias 0 and no running statistic as it was made."""
    torch.manual_seed(0)
    loss = "focal" if classes else "mse"
    config = TextGuidedConfig(
        visual_dim=9,
        audio_dim=sum(parts),
        text_dim=11,
        audio_parts=parts,
        width=16,
        heads=HEADS,
        branch=6,
        narrow_branch=5,
        classes=classes,
        loss=loss,
    )
    model = TextGuidedModel(config).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    for module in model.modules():
        if isinstance(module, RowNorm):
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 3.0)
    rng = np.random.default_rng(1)
    model.set_statistics({m: (rng.normal(size=d), rng.uniform(0.5, 2, d)) for m, d in config.dims.items()})
    return model


@pytest.mark.parametrize("classes", [7, 0])
@pytest.mark.parametrize("parts", PARTS)
def test_the_text_guided_fusion_is_the_references(parts, classes):
    model = make(PARTS[parts], classes)
    generator = torch.Generator().manual_seed(2)
    batch = {m: torch.randn(B, T, d, generator=generator) for m, d in model.config.dims.items()}
    everything = torch.arange(T)  # in three bits: each of the eight ways to be there or not
    batch |= {f"present_{m}": (everything >> bit & 1).bool().repeat(B, 1) for bit, m in enumerate(MODALITIES)}
    batch["frame_mask"] = torch.ones(B, T, dtype=torch.bool)
    batch["frame_mask"][1, 6:] = False
    out = model(**batch)
    assert out.prediction.shape == (B, T, classes or 2)
    state = {name: value.double().numpy() for name, value in model.state_dict().items()}
    for b in range(B):
        one = {name: value[b].numpy() for name, value in batch.items()}
        frames = one["frame_mask"]
        refined, prediction = text_guided.fuse(
            state,
            {m: one[m].astype(np.float64) for m in MODALITIES},
            {m: one[f"present_{m}"] for m in MODALITIES},
            frames,
            parts=PARTS[parts],
            heads=HEADS,
        )
        assert_close(out.refined[b][frames], refined[frames])
        assert_close(out.prediction[b][frames], prediction[frames])
