"""A few frames with a mask, for what attends to them."""

import torch

B, T, E = 3, 7, 8


def arrays(module):
    return {name: value.detach().double().numpy() for name, value in module.state_dict().items()}


def a_window(empty=True, dtype=torch.float32):
    mask = torch.rand(B, T) > 0.3
    mask[0] = True
    mask[2] = not empty
    return torch.randn(B, T, E, dtype=dtype), mask
