"""From face crops to what a vision model was trained on: its size, its range, its normalisation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.errors import ModelError

#: PIL's numbers for its filters, as preprocessor_config.json gives them (1 is Lanczos, the nearest to bicubic).
_FILTERS = {0: "nearest-exact", 1: "bicubic", 2: "bilinear", 3: "bicubic"}


@dataclass(frozen=True)
class PictureInput:
    """Size and range of a vision model's input.

    Attributes
    ----------
    size_px : (height, width)
    scale : float
        What a pixel of 0 to 255 is multiplied by.
    mean, std : of each channel, after scaling
    filter : str
        How crops of other sizes are resized, as ``torch.nn.functional.interpolate`` calls it.
    """

    size_px: tuple[int, int]
    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    filter: str

    def __call__(self, crops: Any) -> Any:
        """(N, S, S, 3) uint8 tensor, RGB -> (N, 3, height, width) float32, as the model's processor would do it.

        A crop is a whole face already, so it is resized as a whole and nothing is cut off.
        """
        import torch
        from torch.nn.functional import interpolate

        pixels = crops.permute(0, 3, 1, 2).float()
        if tuple(pixels.shape[-2:]) != self.size_px:
            if self.filter == "nearest-exact":
                pixels = interpolate(pixels, self.size_px, mode=self.filter)
            else:  # With antialias these are PIL's filters, also where the picture grows.
                pixels = interpolate(pixels, self.size_px, mode=self.filter, antialias=True).clamp_(0, 255)
        mean, std = (torch.tensor(values, device=pixels.device).view(1, 3, 1, 1) for values in (self.mean, self.std))
        return (pixels * self.scale - mean) / std


def picture_input(folder: Path, config: Any) -> PictureInput:
    """Read a model's ``preprocessor_config.json``; its size wins over the configuration's.

    (DINOv2's configuration says 518, the size of its position table; it is used at its processor's 224.)

    Raises
    ------
    ModelError
        If the file is missing, or doesn't say how pixels are normalised or how large pictures are.
    """
    from transformers.image_processing_base import ImageProcessingMixin

    try:
        values, _ = ImageProcessingMixin.get_image_processor_dict(folder, local_files_only=True)
        plain = not values.get("do_normalize", True)
        mean = (0.0,) * 3 if plain else _three(values["image_mean"])
        std = (1.0,) * 3 if plain else _three(values["image_std"])
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"{folder} doesn't say how its pixels are normalised.",
            "Put its preprocessor_config.json with image_mean and image_std there.",
        ) from error
    scale = float(values.get("rescale_factor", 1 / 255)) if values.get("do_rescale", True) else 1.0
    size = _size(values) or _pair(getattr(config, "image_size", None))
    if size is None:
        raise ModelError(
            f"{folder} doesn't say how large its pictures are.",
            "Put its preprocessor_config.json with `size` there.",
        )
    resample = values.get("resample", 2)
    return PictureInput(size, scale, mean, std, _FILTERS.get(resample, "bicubic"))


def _size(values: dict[str, Any]) -> tuple[int, int] | None:
    """What the processor hands to the model: the size after its crop, if it crops."""
    cropped = _pair(values.get("crop_size")) if values.get("do_center_crop", True) else None
    return cropped or (_pair(values.get("size")) if values.get("do_resize", True) else None)


def _pair(size: Any) -> tuple[int, int] | None:
    """(height, width) of ``224``, ``[224, 224]``, ``{height, width}`` or ``{shortest_edge}``; None of anything else."""
    if isinstance(size, dict):
        edge = size.get("shortest_edge")
        size = (size.get("height", edge), size.get("width", edge))
    elif isinstance(size, int):
        size = (size, size)
    if isinstance(size, list | tuple) and len(size) == 2 and all(isinstance(side, int) and side > 0 for side in size):
        return size[0], size[1]
    return None


def _three(values: Any) -> tuple[float, ...]:
    channels = tuple(float(value) for value in values)
    if len(channels) != 3:
        raise ValueError(f"{len(channels)} channels")
    return channels
