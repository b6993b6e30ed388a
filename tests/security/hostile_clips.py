"""A whole clip file, and what a stranger may have made of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
from h5py import h5d, h5p, h5s, h5t, h5z

from common.schema import MODALITIES, TIME, WORD_END, WORD_START, WORD_TEXT, present
from common.store import write_clip

FRAMES, WIDTH = 6, 3

Spoil = Callable[[h5py.File], None]


def whole_clip(path: Path, word: str = "hello") -> Path:
    """A clip of six frames and four words."""
    arrays: dict[str, object] = {TIME: np.arange(FRAMES) / 25}
    for modality in MODALITIES:
        arrays |= {modality: np.ones((FRAMES, WIDTH), dtype=np.float16), present(modality): np.ones(FRAMES, np.bool_)}
    arrays |= {WORD_TEXT: [word, "b", "c", "d"], WORD_START: np.arange(4.0), WORD_END: np.arange(4.0) + 1}
    write_clip(path, arrays, {"clip": path.stem, "settings": {"a": [1]}})  # type: ignore[arg-type]
    return path


def in_place_of(name: str, make: Spoil) -> Spoil:
    """Remove a dataset, then make something else of its name."""

    def spoil(file: h5py.File) -> None:
        del file[name]
        make(file)

    return spoil


def linked(link: object) -> Spoil:
    def make(file: h5py.File) -> None:
        file["visual"] = link

    return in_place_of("visual", make)


def outside(file: h5py.File) -> None:
    """Numbers in a raw file beside."""
    secret = Path(file.filename).with_name("secret.bin")
    secret.write_bytes(np.ones((FRAMES, WIDTH), dtype=np.float16).tobytes())
    shape = (FRAMES, WIDTH)
    file.create_dataset("visual", shape, np.float16, external=[(str(secret), 0, h5py.h5f.UNLIMITED)])


def virtual(file: h5py.File) -> None:
    """Numbers that another HDF5 file holds."""
    other = Path(file.filename).with_name("other.h5")
    with h5py.File(other, "w") as kept:
        kept["x"] = np.ones((FRAMES, WIDTH), dtype=np.float16)
    layout = h5py.VirtualLayout((FRAMES, WIDTH), np.float16)
    layout[:] = h5py.VirtualSource(other, "x", (FRAMES, WIDTH))
    file.create_virtual_dataset("visual", layout)


def filtered(file: h5py.File) -> None:
    """Numbers behind a filter that HDF5 would look for among its plugins."""
    how = h5p.create(h5p.DATASET_CREATE)
    how.set_chunk((FRAMES, WIDTH))
    how.set_filter(32001, h5z.FLAG_OPTIONAL)
    h5d.create(file.id, b"visual", h5t.IEEE_F16LE, h5s.create_simple((FRAMES, WIDTH)), how)


def bomb(file: h5py.File) -> None:
    """A thousand times more zeros than bytes."""
    file.create_dataset("visual", data=np.zeros((FRAMES, 1 << 20), dtype=np.float16), compression="gzip")


def claimed(shape: tuple[int, ...]) -> Spoil:
    """A shape with nothing behind it."""

    def make(file: h5py.File) -> None:
        h5d.create(file.id, b"visual", h5t.IEEE_F16LE, h5s.create_simple(shape))

    return in_place_of("visual", make)


def many_names(file: h5py.File) -> None:
    for number in range(300):
        file.create_group(f"g{number}")


def many_attributes(file: h5py.File) -> None:
    for number in range(300):
        file.attrs[f"a{number}"] = number


def typed(dtype: object) -> Spoil:
    return in_place_of("visual", lambda file: file.create_dataset("visual", (FRAMES, WIDTH), dtype) and None)


def nothing(file: h5py.File) -> None:
    file["visual"] = h5py.Empty("f2")


def deep_json(file: h5py.File) -> None:
    file.attrs["settings"] = "[" * 100_000


def checksum_of_texts(file: h5py.File) -> None:
    file["visual"].attrs["crc32"] = np.array(["1", "2"], dtype=object)


def one_text_for_all(path: Path) -> None:
    """Let each word refer to the first one, which is most of the file: four times as long in memory as on the disk."""
    with h5py.File(path) as file:
        offset = file[WORD_TEXT].id.get_offset()
    content = bytearray(path.read_bytes())
    content[offset + 16 : offset + 64] = content[offset : offset + 16] * 3
    path.write_bytes(content)
