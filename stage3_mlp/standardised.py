"""What the heads share: refined rows go in standardised by their training statistics, which are saved with the head."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor
from transformers import PreTrainedModel
from transformers import initialization as init

from common.errors import CacheError
from common.standardise import mean_and_scale


class StandardisedHead(PreTrainedModel):
    """A head on rows of ``config.d_beit`` columns."""

    main_input_name = "features"

    mean: Tensor
    scale: Tensor

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.register_buffer("mean", torch.zeros(config.d_beit))
        self.register_buffer("scale", torch.ones(config.d_beit))

    def standardised(self, features: Tensor) -> Tensor:
        """(N, d_beit) float as (x - mean) / std.

        Raises
        ------
        CacheError
            If the features have another width than the head was made for.
        """
        if features.shape[-1] != self.config.d_beit:
            raise CacheError(
                f"The refined features are {features.shape[-1]} wide; the head was made for {self.config.d_beit}.",
                "Use the fusion it was trained with, or train the head again.",
            )
        return (features - self.mean) * self.scale

    def set_statistics(self, mean: npt.ArrayLike, std: npt.ArrayLike) -> None:
        """Keep mean and standard deviation, (d_beit,) each, of the training rows; saved with the head.

        From then on, rows go in as (x - mean) / std; constant dimensions become 0.

        Raises
        ------
        DataError
            If a shape is wrong or a value isn't finite.
        """
        m, scale = mean_and_scale(mean, std, self.config.d_beit, "the refined features")
        self.mean.copy_(torch.from_numpy(m))
        self.scale.copy_(torch.from_numpy(scale))

    def forget_statistics(self) -> None:
        """As made; ``init`` leaves alone what a checkpoint has already filled."""
        init.zeros_(self.mean)
        init.ones_(self.scale)
