"""YuNet's weights: a file of one's own, or fetched once, and checked in either case."""

from __future__ import annotations

import hashlib
import http.client
import os
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from common.errors import ModelError
from common.files import sha256, written_whole

YUNET_SHA256: Final = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"

#: opencv_zoo (MIT) at a fixed commit, and OpenCV's copy on the Hugging Face hub, tried in this order.
YUNET_URLS: Final = (
    "https://media.githubusercontent.com/media/opencv/opencv_zoo/82b38c8f98e7b52aa171400f3e4c722352d0669f"
    "/models/face_detection_yunet/face_detection_yunet_2023mar.onnx",
    "https://huggingface.co/opencv/face_detection_yunet/resolve/main/face_detection_yunet_2023mar.onnx",
)

_FILE = "face_detection_yunet_2023mar.onnx"
_TIMEOUT_S = 30.0
_MAX_BYTES = 1 << 24
_CURE = (
    f"Fetch it elsewhere and set faces.weights to it (YuNet, 2023mar, sha256 {YUNET_SHA256}), "
    "or set faces.detector: haar, which needs no file."
)


def yunet_weights(cache_dir: Path | None = None, path: Path | None = None, *, urls: Sequence[str] = YUNET_URLS) -> Path:
    """Where YuNet's ONNX file is; fetched into the user's cache the first time.

    Parameters
    ----------
    cache_dir : Path or None
        Folder to keep it in; None is ``$XDG_CACHE_HOME/maven``, by default ``~/.cache/maven``.
    path : Path or None
        A file of one's own, used in place of the cache.
    urls : sequence of str
        Where to fetch from, tried in order.

    Raises
    ------
    ModelError
        If ``path`` is missing or another file, or if none of ``urls`` gives the right one.
    """
    if path is not None:
        if not path.is_file():
            raise ModelError(f"{path}: there is no such file.", _CURE)
        found = sha256(path)
        if found != YUNET_SHA256:
            raise ModelError(f"{path} isn't YuNet as it was measured with: its sha256 is {found}.", _CURE)
        return path
    if cache_dir is None:
        cache_dir = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "maven"
    kept = cache_dir / _FILE
    if kept.is_file() and sha256(kept) == YUNET_SHA256:
        return kept
    content = _fetched(urls)
    try:
        with written_whole(kept) as partial:
            partial.write_bytes(content)
    except OSError as error:
        raise ModelError(f"YuNet's weights can't be written to {kept}: {error.strerror}.", _CURE) from None
    return kept


def _fetched(urls: Sequence[str]) -> bytes:
    """The right content from the first of ``urls`` that gives it."""
    reasons = []
    for url in urls:
        try:
            with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer:
                content: bytes = answer.read(_MAX_BYTES)
        except (OSError, http.client.HTTPException) as error:
            reasons.append(f"{url}: {error}")
            continue
        found = hashlib.sha256(content).hexdigest()
        if found == YUNET_SHA256:
            return content
        reasons.append(f"{url}: gives another file ({len(content)} bytes, sha256 {found})")
    raise ModelError("YuNet's weights can't be fetched. " + "; ".join(reasons) + ".", _CURE)
