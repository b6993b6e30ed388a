"""The head on emotion classes, in place of the polar one: one hidden layer from refined features to logits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig
from transformers import initialization as init
from transformers.utils import ModelOutput

from common.classification import CLASS_LOSSES, check_class_settings, configured_loss
from common.errors import RecipeError
from common.processes import rows_of_all
from stage3_mlp.standardised import StandardisedHead


class ClassifierConfig(PreTrainedConfig):
    """Settings of a ``ClassifierHead``: its widths, dropout, and ``common.classification.classification_loss``.

    ``classes`` is K. ``class_weights`` are K numbers, or None.

    Raises
    ------
    RecipeError
        If the loss isn't one of classes, or settings don't go together; see ``check_class_settings``.
    """

    model_type: ClassVar[str] = "maven-classifier"

    d_beit: int = 512
    hidden: int = 256
    dropout: float = 0.3
    classes: int = 7
    loss: str = "cross-entropy"
    focal_gamma: float = 2.0
    class_weights: list[float] | None = None
    label_smoothing: float = 0.0

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        if self.loss not in CLASS_LOSSES:
            raise RecipeError(f"loss is {self.loss!r}.", f"Known of classes: {', '.join(CLASS_LOSSES)}.")
        check_class_settings(self)


@dataclass
class ClassifierOutput(ModelOutput):
    """What a ``ClassifierHead`` returns.

    ``loss``: () float, where labels were given. ``prediction``: (N, K) float, logits.
    """

    loss: Tensor | None = None
    prediction: Tensor | None = None


class ClassifierHead(StandardisedHead):
    """The published classifier: a layer with ReLU and dropout, and a layer to the logits of K classes."""

    config_class = ClassifierConfig

    def __init__(self, config: ClassifierConfig) -> None:
        super().__init__(config)
        self.fc1 = nn.Linear(config.d_beit, config.hidden)
        self.fc2 = nn.Linear(config.hidden, config.classes)
        self.dropout = nn.Dropout(config.dropout)
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """Fresh weights; ``init`` leaves alone what a checkpoint has already filled."""
        if module is self.fc2:
            # No class is likelier at first.
            init.normal_(module.weight, std=0.1 * self.config.hidden**-0.5)
            init.zeros_(module.bias)
        elif isinstance(module, nn.Linear):
            init.kaiming_uniform_(module.weight, nonlinearity="relu")
            init.zeros_(module.bias)
        elif isinstance(module, ClassifierHead):
            module.forget_statistics()

    def forward(self, features: Tensor, labels: Tensor | None = None) -> ClassifierOutput:
        """Predict the emotions of N rows.

        Parameters
        ----------
        features : (N, d_beit) float32
        labels : (N,) int64, optional
            Classes, 0 to K - 1; -1 where there is none.

        Raises
        ------
        CacheError
            If the features have another width than the head was made for.
        """
        hidden = self.dropout(self.fc1(self.standardised(features)).relu())  # (N, hidden)
        logits = self.fc2(hidden).float()  # (N, K)
        loss = None if labels is None else configured_loss(*rows_of_all(logits, labels), self.config)
        return ClassifierOutput(loss=loss, prediction=logits)
