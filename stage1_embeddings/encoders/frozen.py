"""What the three encoders share: a network that is loaded, placed, asked in batches, and never trained.

Where memory runs out, the batch is halved and the call repeated; the smaller size is kept for later calls.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from common.device import keep_freed_memory, memory_ran_out, torch_device, torch_dtype
from common.errors import ModelError
from common.models import load_model
from common.reasons import reason_of
from common.recipe import Encoder
from common.schema import Modality

Result = TypeVar("Result")

_LOG = logging.getLogger("stage1_embeddings")

#: What a model of each modality may call its input, and how to say so where it doesn't.
_INPUTS: dict[Modality, tuple[set[str], str]] = {
    "visual": ({"pixel_values"}, "pictures"),
    "audio": ({"input_values", "input_features"}, "sound"),
    "text": ({"input_ids"}, "text"),
}


class Frozen:
    """A network in a local folder, in the recipe's precision on one device.

    Parameters
    ----------
    folder : Path
        As written by ``save_pretrained``, with safetensors weights.
    settings : Encoder
        ``precision``, ``batch_size`` and ``compile`` are used here.
    device : str
        As `common.device.torch_device` takes it.
    modality : str
        What the network must take: a vision model for text is refused.

    Raises
    ------
    ModelError
        If the folder holds no model of this modality.

    Attributes
    ----------
    batch_size : int
        Of later calls: the recipe's, or less where memory ran out.
    """

    def __init__(self, folder: Path, settings: Encoder, device: str, modality: Modality) -> None:
        self.folder = folder
        self.modality = modality
        self.precision = settings.precision
        self.batch_size = settings.batch_size
        self.device = torch_device(device)
        self.dtype = torch_dtype(settings.precision, self.device)
        if self.device.type == "cpu":
            keep_freed_memory()
        self.model = load_model(folder)
        self.config = self.model.config
        names, what = _INPUTS[modality]
        if self.model.main_input_name not in names:
            raise ModelError(
                f"{folder} is a {self.config.model_type} model, which takes {self.model.main_input_name}, not {what}.",
                f"Give a model for {what} as stage1.{modality}.model.",
            )
        self._compile = settings.compile
        self._compiled: Any = None

    def use(self, model: Any) -> None:
        """Move ``model``, which is the loaded one or its encoder, to the device; the rest is let go.

        Raises
        ------
        ModelError
            Where it doesn't fit.
        """
        try:
            self.model = model.to(self.device, self.dtype).eval()
        except (RuntimeError, MemoryError) as error:
            if not memory_ran_out(error):
                raise
            raise self.too_large(error) from error

    def too_large(self, reason: object) -> ModelError:
        """What to say where memory doesn't suffice for the model and one item."""
        return ModelError(
            f"Memory doesn't suffice for {self.folder} on {self.device}, one item at a time: {reason_of(reason)}.",
            f"Use a smaller model as stage1.{self.modality}.model, precision bfloat16, or DEVICE=cpu.",
        )

    def forward(self, *, eager: bool = False, **inputs: Any) -> Any:
        """The last hidden state in the network's precision; floating inputs are cast to it.

        Parameters
        ----------
        eager : bool
            Not compiled, whatever the recipe says.
        inputs : tensors by the names of the network's arguments

        Raises
        ------
        ModelError
            Where compiling fails, or where a value isn't finite.
        """
        import torch

        placed = {
            name: value.to(self.device, self.dtype if value.is_floating_point() else None)
            if torch.is_tensor(value)
            else value
            for name, value in inputs.items()
        }
        with torch.inference_mode():
            state = (self.model if eager or not self._compile else self._compiled_model)(**placed).last_hidden_state
        if not bool(torch.isfinite(state).all()):
            raise ModelError(
                f"{self.folder} gives values that aren't finite in {self.precision}.",
                f"Set stage1.{self.modality}.precision to float32 (or bfloat16), or give another checkpoint.",
            )
        return state

    def batches(self, items: Any, work: Callable[[Any], Result]) -> Iterator[Result]:
        """``work`` on consecutive slices of ``items``, at most ``batch_size`` long; halved where memory runs out.

        Raises
        ------
        ModelError
            Where memory doesn't suffice for one item.
        """
        start = 0
        while start < len(items):
            batch = items[start : start + self.batch_size]
            # Outside of the handler: the exception's frames hold the tensors that don't fit.
            result, full = self._tried(work, batch)
            if full:
                self._halve(full)
                continue
            yield result  # type: ignore[misc]
            start += len(batch)

    def _tried(self, work: Callable[[Any], Result], batch: Any) -> tuple[Result | None, str]:
        """The result and an empty string, or None and why memory ran out."""
        try:
            return work(batch), ""
        except (RuntimeError, MemoryError) as error:
            if not memory_ran_out(error):
                raise
            return None, reason_of(error) or "out of memory"

    def _halve(self, reason: str) -> None:
        import torch

        if self.batch_size == 1:
            raise self.too_large(reason)
        self.batch_size //= 2
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        _LOG.warning("stage1.%s: memory ran out; going on with batch_size %d", self.modality, self.batch_size)

    @property
    def _compiled_model(self) -> Callable[..., Any]:
        import torch

        if self._compiled is None:
            self._compiled = torch.compile(self.model)
        return self._guarded

    def _guarded(self, **inputs: Any) -> Any:
        """The compiled network: compiling happens in the first call of each shape."""
        from torch._dynamo.exc import TorchDynamoException
        from torch._inductor.exc import CppCompileError, InvalidCxxCompiler

        try:
            return self._compiled(**inputs)
        except (TorchDynamoException, CppCompileError, InvalidCxxCompiler) as error:
            raise ModelError(
                f"{self.folder} can't be compiled here: {reason_of(error)}.",
                f"Set stage1.{self.modality}.compile to false; on a CPU torch.compile needs g++.",
            ) from error
