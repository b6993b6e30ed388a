"""The numbers of a training's losses and gradients: which batches they are of, and what is kept of them."""

from __future__ import annotations

import pytest
import torch

from common.errors import TrainingError
from common.training.finite import Finite, Numbered


class Talks:
    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> dict[str, int]:
        return {"value": index}

    def named(self, index: int) -> str:
        return f"talk{index}"


@pytest.mark.parametrize("gradients", [True, False])
def test_nothing_is_kept_of_a_step_that_is_over(gradients: bool) -> None:
    finite = Finite(Numbered(Talks()), gradients=gradients)
    for step in range(3):
        finite.loss(torch.tensor(1.0), torch.tensor([0, 1]), step)
        finite.gradient(torch.tensor(1.0), step)
    assert not finite._items and not finite._seen


def test_a_gradient_that_is_no_number_names_the_clips_of_all_batches_of_its_step() -> None:
    finite = Finite(Numbered(Talks()), gradients=True)
    finite.loss(torch.tensor(1.0), torch.tensor([0]), 7)
    finite.loss(torch.tensor(1.0), torch.tensor([2]), 7)
    with pytest.raises(TrainingError, match="The gradient is nan at step 7, in a batch of talk0, talk2"):
        finite.gradient(torch.tensor(torch.nan), 7)


def test_items_come_with_their_numbers() -> None:
    data = Numbered(Talks())
    assert data[1] == {"value": 1, "item": 1}
    assert data.__getitems__([2, 0]) == [{"value": 2, "item": 2}, {"value": 0, "item": 0}]
