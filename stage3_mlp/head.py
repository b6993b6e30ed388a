"""The polar head: three layers to intensity and angle, and from them to valence and arousal (eq. 27-31).

Start here. Its input are rows that ``pooling.pool`` made of the refined features of stage 2 (eq. 26).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedConfig
from transformers import initialization as init
from transformers.utils import ModelOutput

from common.losses import regression_loss
from common.polar import canonical_polar
from common.processes import rows_of_all
from stage3_mlp.standardised import StandardisedHead

__all__ = ["PolarHead", "PolarHeadConfig", "PolarOutput", "canonical_polar"]

Angle = Literal["radians", "direction"]


class PolarHeadConfig(PreTrainedConfig):
    """Settings of a ``PolarHead``: its widths, dropout, and the loss of ``common.losses.regression_loss``."""

    model_type: ClassVar[str] = "maven-polar-head"
    keys_to_ignore_at_inference: ClassVar[list[str]] = ["intensity", "theta"]

    d_beit: int = 768
    d1: int = 256
    d2: int = 128
    angle: Angle = "radians"
    dropout: float = 0.2
    loss: str = "mse"
    ccc_weight: float = 0.1


@dataclass
class PolarOutput(ModelOutput):
    """What a ``PolarHead`` returns.

    ``loss``: () float, where labels were given. ``prediction``: (N, 2) float, valence and arousal. ``intensity``,
    ``theta``: (N,) float as eq. 29 gives them, of any sign and any number of turns; ``canonical_polar`` brings them
    to intensity >= 0 and theta in (-pi, pi].
    """

    loss: Tensor | None = None
    prediction: Tensor | None = None
    intensity: Tensor | None = None
    theta: Tensor | None = None


class PolarHead(StandardisedHead):
    """Three fully connected layers to [I, theta], then valence = I cos(theta), arousal = I sin(theta) (eq. 27-31).

    The paper drops out "after each fully connected layer in the emotion predictor"; here that is after the ReLU of the
    two hidden layers. After the third it would set whole predictions to zero.

    ``angle: radians`` is eq. 29 as printed. It learns slowly where intensities are small: dv/dtheta = -I sin(theta) and
    da/dtheta = I cos(theta) vanish with I, and a face that goes from pi to -pi has to cross all angles. ``angle:
    direction`` puts out [I, x, y] instead, and theta is the direction of (x, y): the same two quantities without a cut.

    I isn't squashed: where both labels are near 1, the intensity is near sqrt 2. It may come out negative, which is a
    point like any other.
    """

    config_class = PolarHeadConfig

    def __init__(self, config: PolarHeadConfig) -> None:
        super().__init__(config)
        self.fc1 = nn.Linear(config.d_beit, config.d1)
        self.fc2 = nn.Linear(config.d1, config.d2)
        self.fc3 = nn.Linear(config.d2, 3 if config.angle == "direction" else 2)
        self.dropout = nn.Dropout(config.dropout)
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """Fresh weights; ``init`` leaves alone what a checkpoint has already filled."""
        if module is self.fc3:
            # Starting near intensity 0 learns faster than starting at points all over the circle.
            init.normal_(module.weight, std=0.1 * self.config.d2**-0.5)
            init.zeros_(module.bias)
            if self.config.angle == "direction":
                init.normal_(module.weight[1:], std=self.config.d2**-0.5)
        elif isinstance(module, nn.Linear):
            init.kaiming_uniform_(module.weight, nonlinearity="relu")
            init.zeros_(module.bias)
        elif isinstance(module, PolarHead):
            module.forget_statistics()

    def forward(self, features: Tensor, labels: Tensor | None = None) -> PolarOutput:
        """Predict valence and arousal of N frames or clips.

        Parameters
        ----------
        features : (N, d_beit) float32
            Pooled rows.
        labels : (N, 2) float32, optional
            Valence and arousal in [-1, 1]; NaN where there is none.

        Raises
        ------
        CacheError
            If the features have another width than the head was made for.
        """
        pooled = self.standardised(features)
        h1 = self.dropout(self.fc1(pooled).relu())  # eq. 27: (N, d1)
        h2 = self.dropout(self.fc2(h1).relu())  # eq. 28: (N, d2)
        out = self.fc3(h2).float()  # eq. 29: (N, 2), or (N, 3) where the angle is a direction
        intensity, theta = out[:, 0], out[:, 1] if out.shape[1] == 2 else torch.atan2(out[:, 2], out[:, 1])
        unit = F.normalize(out[:, 1:], dim=-1) if out.shape[1] == 3 else torch.stack([theta.cos(), theta.sin()], dim=-1)
        prediction = intensity[:, None] * unit  # eq. 30-31
        loss = None
        if labels is not None:
            rows = rows_of_all(prediction, labels)
            loss = regression_loss(*rows, self.config.loss, self.config.ccc_weight)  # eq. 32
        return PolarOutput(loss=loss, prediction=prediction, intensity=intensity, theta=theta)
