"""What stage 2 says of its cross-modal attention for one clip, and stage 3 draws: two numbers per moment and path."""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from common.errors import CacheError, DataError
from common.files import written_whole
from common.unpacking import check_arrays

#: Below a run's folder.
LISTENING = "attention"

#: Raise when the meaning of the numbers changes: files of another version are computed again.
VERSION = 1


#: What an archive is, besides, that is damaged or claims too much.
_BROKEN = (zipfile.BadZipFile, zlib.error, DataError)


@dataclass(frozen=True)
class Listening:
    """The six cross-modal paths of a clip over its T frames.

    A path m -> n brings something to the features of n. With ``pathway: paper`` a frame of m asks, and gets a mixture
    of n's frames: m says which moments of n count, not what they hold. With ``pathway: released`` a frame of n asks,
    and gets a mixture of m's.

    Attributes
    ----------
    paths : the six names, as in ``audio->visual``: the modality that the equations write first, and its target
    strength : (T, 6) float32, >= 0
        Norm of what the path added to the target's features at this moment, relative to the norm of those features
        before. It can be above 1. NaN where the path adds nothing or there are no such features: the modality that
        asks, or the target, is absent at this moment, or none of the frames it could ask is there.
    attended : (T, 6) float32, >= 0
        How much of the path's attention this moment got as one of the frames that were asked, 1 being an even share.
        NaN where it is not one of them, as their modality is absent, and where nobody asked.
    """

    paths: tuple[str, ...]
    strength: npt.NDArray[np.float32]
    attended: npt.NDArray[np.float32]


def write_listening(run: Path, clip: str, content: str, listening: Listening) -> Path:
    """Write ``run/attention/<clip>.npz``, whole; ``content`` is that of the clip's refined features."""
    path = run / LISTENING / f"{clip}.npz"
    with written_whole(path) as partial, partial.open("wb") as file:
        np.savez(
            file,
            version=np.asarray(VERSION),
            content=np.asarray(content),
            paths=np.asarray(listening.paths),
            strength=listening.strength,
            attended=listening.attended,
        )
    return path


def read_listening(run: Path, clip: str, content: str) -> Listening | None:
    """What `write_listening` wrote of this clip with this content; None where there is none, or it is of another.

    Raises
    ------
    CacheError
        If the file can't be read.
    """
    path = run / LISTENING / f"{clip}.npz"
    if not path.is_file():
        return None
    try:
        check_arrays(path)
        with np.load(path, allow_pickle=False) as file:
            if int(file["version"]) != VERSION or str(file["content"]) != content:
                return None
            found = Listening(tuple(file["paths"].tolist()), file["strength"], file["attended"])
        shapes = found.strength.shape, found.attended.shape
        if any(len(shape) != 2 or shape[1] != len(found.paths) for shape in shapes) or shapes[0] != shapes[1]:
            raise ValueError(f"{len(found.paths)} paths, strength {shapes[0]}, attended {shapes[1]}")
    except (OSError, EOFError, ValueError, TypeError, KeyError, MemoryError, RuntimeError, *_BROKEN) as error:
        raise CacheError(f"{path} can't be read ({error}).", "Delete it and ask for the attention again.") from error
    return found
