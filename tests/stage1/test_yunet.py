"""Fetching YuNet's weights: from a server of our own, as there may be no other."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from common.errors import ModelError
from stage1_embeddings.faces import yunet
from stage1_embeddings.faces.yunet import YUNET_SHA256, YUNET_URLS, yunet_weights
from tests.common.media_files import SHARED

CONTENT = b"weights of a small network" * 100


class _Server(BaseHTTPRequestHandler):
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        content = {"/right": CONTENT, "/wrong": CONTENT[1:], "/short": CONTENT[:50]}.get(self.path)
        if content is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT) if self.path == "/short" else len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def asked() -> list[str]:
    return []


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, asked: list[str]) -> Iterator[str]:
    monkeypatch.setattr(yunet, "YUNET_SHA256", hashlib.sha256(CONTENT).hexdigest())
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    handler = type("Handler", (_Server,), {"asked": asked})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as listening:
        threading.Thread(target=listening.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()


def test_fetched_once(server: str, asked: list[str], tmp_path: Path) -> None:
    for _ in range(2):
        kept = yunet_weights(tmp_path / "new" / "cache", urls=[f"{server}/right"])
        assert kept.read_bytes() == CONTENT
    assert asked == ["/right"]
    assert [file.name for file in kept.parent.iterdir()] == [kept.name], "something half-written was left"


def test_the_users_cache(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert yunet_weights(urls=[f"{server}/right"]).parent == tmp_path / "xdg" / "maven"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert yunet_weights(urls=[f"{server}/right"]).parent == tmp_path / ".cache" / "maven"


def test_a_spoilt_copy_is_replaced(server: str, tmp_path: Path) -> None:
    kept = yunet_weights(tmp_path, urls=[f"{server}/right"])
    kept.write_bytes(b"half")
    assert yunet_weights(tmp_path, urls=[f"{server}/right"]).read_bytes() == CONTENT


def test_the_next_address_is_tried(server: str, asked: list[str], tmp_path: Path) -> None:
    urls = [f"{server}/gone", f"{server}/wrong", f"{server}/right"]
    assert yunet_weights(tmp_path, urls=urls).read_bytes() == CONTENT
    assert asked == ["/gone", "/wrong", "/right"]


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        ("wrong", rf"gives another file \({len(CONTENT) - 1} bytes, sha256 {hashlib.sha256(CONTENT[1:]).hexdigest()}"),
        ("short", "gives another file|IncompleteRead"),
        ("gone", "404"),
    ],
)
def test_not_to_be_had(server: str, tmp_path: Path, page: str, reason: str) -> None:
    with pytest.raises(ModelError, match=f"can't be fetched.*/{page}: .*({reason}).*faces.weights.*haar"):
        yunet_weights(tmp_path, urls=[f"{server}/{page}"])
    assert list(tmp_path.iterdir()) == []


def test_nobody_answers(server: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"127\.0\.0\.1:9/yunet: .*refused.*faces\.detector: haar"):
        yunet_weights(tmp_path, urls=["http://127.0.0.1:9/yunet"])


def test_nowhere_to_keep_it(server: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(ModelError, match="can't be written to"):
        yunet_weights(tmp_path / "file", urls=[f"{server}/right"])


def test_a_file_of_ones_own(server: str, asked: list[str], tmp_path: Path) -> None:
    own = tmp_path / "own.onnx"
    with pytest.raises(ModelError, match=r"own\.onnx: there is no such file"):
        yunet_weights(path=own)
    own.write_bytes(CONTENT)
    assert yunet_weights(path=own) == own
    own.write_bytes(CONTENT + b"!")
    found = hashlib.sha256(CONTENT + b"!").hexdigest()
    with pytest.raises(ModelError, match=rf"own\.onnx isn't YuNet .*{found}.*{YUNET_SHA256}"):
        yunet_weights(path=own)
    assert asked == []


def test_only_secure_addresses() -> None:
    assert all(url.startswith("https://") for url in YUNET_URLS)


@pytest.mark.shared_data
def test_the_real_file() -> None:
    real = SHARED / "weights" / "face_detection_yunet_2023mar.onnx"
    if not real.is_file():
        pytest.skip("../shared/data is absent")
    assert yunet_weights(path=real) == real
