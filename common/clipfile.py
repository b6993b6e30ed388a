"""What may be read of an HDF5 file from a stranger: each dataset and attribute is looked at before its values are read.

A file of the cache consists of contiguous numbers and texts whose bytes lie in the file itself. Links that lead away,
storage in other files, filters (which may be loaded from plugins), and sizes that the file's own size can't account for
are refused by what their headers say; no value is read for it.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
from h5py import h5a, h5d, h5g, h5l, h5o, h5t

from common.errors import CacheError

CURE: Final = "Delete it and run `make embeddings` again; only what is missing is computed."

#: Names in one group, attributes of the file, axes of a dataset: ours have 20, 40 and 3.
_MOST_NAMES, _MOST_ATTRIBUTES, _MOST_AXES = 256, 256, 3
#: One attribute that isn't text by reference; the number of texts in one that is.
_ATTRIBUTE_BYTES, _MOST_TEXTS = 1 << 20, 256
#: What all attributes may come to in memory.
_ATTRIBUTES_BYTES = 1 << 32
#: A chunk of the tables' features, and what a file may be smaller than one.
_CHUNK_BYTES = 1 << 26
#: A reference to a text in the file: its length, the address of its heap, its number there.
_REFERENCE: Final = np.dtype([("length", "<u4"), ("heap", "<u8"), ("number", "<u4")])

_TEXT: Final = h5t.py_create(h5py.string_dtype())
_NUMBERS: Final = frozenset({h5t.INTEGER, h5t.FLOAT, h5t.ENUM})


class ClipFile:
    """An open HDF5 file, by the names in it; every access is checked first.

    Parameters
    ----------
    file : h5py.File
    path : Path
        Where it lies.
    name : Path
        What messages call it.
    chunked : bool
        Also take chunked datasets without filters, as imported tables have.

    Raises
    ------
    CacheError
        From every method, naming what is refused.
    """

    def __init__(self, file: h5py.File, path: Path, name: Path, *, chunked: bool = False) -> None:
        self._file, self._path, self._name, self._chunked = file, path, name, chunked
        self._bytes = path.stat().st_size
        self._groups: dict[bytes, Any] = {b"": file.id}
        self._sets: dict[str, h5py.Dataset] = {}

    def __contains__(self, name: str) -> bool:
        return self._holder(name) is not None

    def __getitem__(self, name: str) -> h5py.Dataset:
        if name not in self._sets:
            holder = self._holder(name)
            if holder is None:
                raise self._refused(f"has no /{name}")
            group, last = holder
            self._sets[name] = self._checked(h5o.open(group, last), name)
        return self._sets[name]

    def get(self, name: str) -> h5py.Dataset | None:
        """The dataset of this name; None where there is none."""
        return self[name] if self._holder(name) else None

    def names(self) -> tuple[str, ...]:
        """The names of all datasets, in alphabetical order; groups lie in the root alone."""
        found: list[str] = []
        for name in self._links(b""):
            kind = h5o.get_info(self._file.id, name).type
            if kind == h5o.TYPE_GROUP:
                found += [f"{name.decode()}/{inner.decode()}" for inner in self._links(name)]
            else:
                found.append(name.decode())
        return tuple(sorted(found))

    def attribute(self, name: str) -> Any:
        """The value of one attribute of the file; None where there is none."""
        content = name.encode()
        if not h5a.exists(self._file.id, content):
            return None
        found = h5a.open(self._file.id, content)
        self._check_texts(self._texts_in(found, name))
        return _value(found)

    def attributes(self) -> dict[str, Any]:
        """All attributes of the file."""
        count = h5a.get_num_attrs(self._file.id)
        if count > _MOST_ATTRIBUTES:
            raise self._refused(f"has {count} attributes")
        listed = [h5a.open(self._file.id, index=index) for index in range(count)]
        found = {attribute.name.decode("utf-8", "replace"): attribute for attribute in listed}
        self._check_texts(sum(self._texts_in(attribute, name) for name, attribute in found.items()))
        return {name: _value(attribute) for name, attribute in found.items()}

    def checksum(self, name: str) -> int | None:
        """The CRC-32 that a dataset carries, if it does."""
        dataset = self[name]
        if not h5a.exists(dataset.id, b"crc32"):
            return None
        found = h5a.open(dataset.id, b"crc32")
        if found.shape != () or found.get_type().get_class() != h5t.INTEGER:
            raise self._refused(f"has a checksum of /{name} that is no number")
        return int(dataset.attrs["crc32"])

    def _refused(self, why: str) -> CacheError:
        return CacheError(f"{self._name} {why}.", CURE)

    def _links(self, group: bytes) -> list[bytes]:
        """The names in a group, all of them hard links."""
        place = self._group(group)
        if (count := place.get_num_objs()) > _MOST_NAMES:
            raise self._refused(f"has {count} names in /{group.decode()}")
        found: list[tuple[bytes, int]] = []
        place.links.iterate(lambda name, about: found.append((name, about.type)), info=True)
        for name, kind in found:
            self._check_link(kind, name, group)
        return [name for name, _ in found]

    def _group(self, name: bytes) -> Any:
        if name not in self._groups:
            self._groups[name] = h5g.open(self._file.id, name)
        return self._groups[name]

    def _holder(self, name: str) -> tuple[Any, bytes] | None:
        """The group that holds a dataset, and the dataset's name there; None where there is none."""
        first, slash, last = name.encode().partition(b"/")
        group, found = b"", first
        if slash:
            if not self._linked(b"", first):
                return None
            group, found = first, last
        return (self._group(group), found) if self._linked(group, found) else None

    def _linked(self, group: bytes, name: bytes) -> bool:
        place = self._group(group)
        if not place.links.exists(name):
            return False
        self._check_link(place.links.get_info(name).type, name, group)
        return True

    def _check_link(self, kind: int, name: bytes, group: bytes) -> None:
        if kind != h5l.TYPE_HARD:
            where = b"/".join(filter(None, (group, name))).decode("utf-8", "replace")
            raise self._refused(f"is refused: /{where} is a link to elsewhere")

    def _checked(self, found: Any, name: str) -> h5py.Dataset:
        if not isinstance(found, h5d.DatasetID):
            raise self._refused(f"is refused: /{name} is no dataset")
        how = found.get_create_plist()
        layout = how.get_layout()
        if layout == h5d.VIRTUAL or how.get_external_count():
            raise self._refused(f"is refused: the numbers of /{name} lie in other files")
        if how.get_nfilters():
            raise self._refused(f"is refused: /{name} is compressed or filtered")
        kind, shape = found.get_type(), found.shape
        if kind.get_class() not in _NUMBERS and kind.get_class() != h5t.STRING:
            raise self._refused(f"is refused: /{name} holds neither numbers nor texts")
        if shape is None or len(shape) > _MOST_AXES:
            raise self._refused(f"is refused: /{name} has the shape {shape}")
        self._check_size(found, name, kind, layout, how)
        return h5py.Dataset(found)

    def _check_size(self, found: Any, name: str, kind: Any, layout: int, how: Any) -> None:
        """That what a dataset claims to hold lies in the file."""
        texts = _refers(kind)
        shape, width = found.shape, _REFERENCE.itemsize if texts else kind.get_size()
        claims = math.prod(shape) * width
        many = self._refused(f"is refused: /{name} claims {shape}, more than a file of {self._bytes} bytes can hold")
        if math.prod(max(1, length) for length in shape) > max(self._bytes, _CHUNK_BYTES):
            raise many
        if layout == h5d.CHUNKED and self._chunked:
            if math.prod(how.get_chunk()) * width > max(self._bytes, _CHUNK_BYTES) or shape[0] > self._bytes:
                raise many
            return
        if layout != h5d.CONTIGUOUS:
            raise self._refused(f"is refused: /{name} isn't contiguous")
        offset = found.get_offset()
        if claims and (found.get_storage_size() != claims or offset is None or offset + claims > self._bytes):
            raise many
        if texts and claims:
            references = np.fromfile(self._path, _REFERENCE, math.prod(shape), offset=offset)
            if int(references["length"].sum(dtype=np.uint64)) > self._bytes:
                raise self._refused(f"is refused: the texts of /{name} are longer than the file")

    def _texts_in(self, attribute: Any, name: str) -> int:
        """How many texts an attribute refers to; an error where it is something that attributes of ours are not."""
        kind, shape = attribute.get_type(), attribute.shape
        if kind.get_class() not in _NUMBERS and kind.get_class() != h5t.STRING:
            raise self._refused(f"is refused: its attribute {name!r} is neither number nor text")
        if shape is None or math.prod(shape) > _MOST_TEXTS or math.prod(shape) * kind.get_size() > _ATTRIBUTE_BYTES:
            raise self._refused(f"is refused: its attribute {name!r} has the shape {shape}")
        return math.prod(shape) if _refers(kind) else 0

    def _check_texts(self, count: int) -> None:
        """That attributes which all refer to one long text don't fill memory with copies of it."""
        if count * self._bytes <= _ATTRIBUTES_BYTES:
            return
        numbers = sum(self[name].id.get_storage_size() for name in self.names())
        if count * (self._bytes - numbers) > _ATTRIBUTES_BYTES:
            raise self._refused(f"is refused: its attributes may take {count} times its size in memory")


def _refers(kind: Any) -> bool:
    """Are values of this type texts that lie elsewhere in the file?"""
    return isinstance(kind, h5t.TypeStringID) and bool(kind.is_variable_str())


def _value(attribute: Any) -> Any:
    """An attribute as a Python value, or as a list of texts."""
    if not _refers(attribute.get_type()):
        number = np.zeros(attribute.shape, dtype=attribute.dtype)
        attribute.read(number)
        return number.item() if number.shape == () else number
    texts = np.empty(attribute.shape, dtype=object)
    if texts.size:
        attribute.read(texts, mtype=_TEXT)
    decoded = [text.decode("utf-8", "surrogateescape") for text in texts.flat]
    return decoded if texts.shape else decoded[0]
