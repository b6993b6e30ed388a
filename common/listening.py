"""What stage 2 says of its cross-modal attention for one clip, and stage 3 draws: a number per moment and path."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from common.errors import CacheError
from common.files import written_whole

#: Below a run's folder.
LISTENING = "attention"


@dataclass(frozen=True)
class Listening:
    """The six cross-modal paths of a clip over its T frames.

    Attributes
    ----------
    paths : the six names, as in ``audio->visual``: the modality that the equations write first, and its target
    strength : (T, 6) float32, >= 0
        Norm of what the path added to the target's features at this moment, relative to the norm of those features
        before. NaN where the path added nothing, as one of its modalities is absent.
    attended : (T, 6) float32, >= 0
        How much of the path's attention this moment got as a key, 1 being an even share. NaN where it is no key.
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
        with np.load(path, allow_pickle=False) as file:
            if str(file["content"]) != content:
                return None
            return Listening(tuple(file["paths"].tolist()), file["strength"], file["attended"])
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise CacheError(f"{path} can't be read ({error}).", "Delete it and ask for the attention again.") from error
