"""Data sets and caches in S3, by the real commands and a server on this machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from common.storage.address import Address
from common.storage.cli import main
from common.storage.copies import RECORD, Copy
from common.storage.data import local_data
from common.storage.remote import Remote
from common.store import write_clip
from tests.common.test_store import clip_arrays
from tests.integration.chain import Chain
from tests.storage.conftest import Bucket

pytestmark = pytest.mark.storage

PROJECT = Path(__file__).resolve().parents[2]
FOLDER = "features/0123456789abcdef"


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    folder = tmp_path / "cache"
    for number in range(12):
        write_clip(folder / FOLDER / f"clip {number} 'ü'.h5", clip_arrays(40 + number), {"clip": "x"})
    (folder / FOLDER / ".claims").mkdir()
    return folder


def files(folder: Path) -> dict[str, bytes]:
    found = [path for path in folder.rglob("*") if path.is_file() and path.name != RECORD]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def below(bucket: Bucket) -> dict[str, bytes]:
    return {key.removeprefix("cäche 1/"): content for key, content in bucket.objects().items()}


def test_a_cache_goes_there_and_comes_back(bucket: Bucket, cache: Path, tmp_path: Path) -> None:
    call = ["publish", bucket.address.text, "--cache", str(cache)]
    result = CliRunner().invoke(main, call)
    assert result.exit_code == 0 and "12 files" in result.output, result.output
    assert below(bucket) == files(cache)
    assert "0 files" in CliRunner().invoke(main, call).output
    other = tmp_path / "other"
    assert Copy(other, bucket.address).pull().files == 12 and files(other) == files(cache)
    assert Copy(other, bucket.address).pull().files == Copy(other, bucket.address).publish().files == 0


def test_killed_while_publishing_and_published_again(bucket: Bucket, cache: Path, tmp_path: Path) -> None:
    big = cache / FOLDER / "big.h5"
    big.write_bytes(os.urandom(120 << 20))  # in several parts
    command = [sys.executable, "-m", "common.storage", "publish", bucket.address.text, "--cache", str(cache)]
    killed = 0
    for delay_s in (0.6, 0.9, 1.2, 1.5, 2.0):
        process = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(delay_s)
        process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
        assert below(bucket).items() <= files(cache).items(), "what is there is whole"
    assert killed
    result = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert below(bucket) == files(cache)


def test_an_object_that_is_cut_short_is_never_taken(bucket: Bucket, cache: Path, tmp_path: Path) -> None:
    Copy(cache, bucket.address).publish()
    key, content = next(iter(bucket.objects().items()))
    bucket.client.put_object(Bucket=bucket.name, Key=key, Body=content[: len(content) // 2])
    other = tmp_path / "other"
    result = CliRunner().invoke(main, ["pull", bucket.address.text, "--cache", str(other)])
    assert result.exit_code == 1 and "What was fetched isn't whole" in result.output
    assert len(files(other)) == 11
    Copy(cache, bucket.address).publish()
    assert Copy(other, bucket.address).pull().files == 1 and files(other) == files(cache)


def test_hostile_keys_stay_out(bucket: Bucket, tmp_path: Path) -> None:
    for key in ("data/../../evil.mp4", "data//etc/evil.txt", "data/a/../../evil.txt", "data/ok.mp4", "data/folder/"):
        bucket.client.put_object(Bucket=bucket.name, Key=key, Body=b"x")
    said: list[str] = []
    with local_data(Address(f"s3://{bucket.name}/data"), tmp_path / "deep" / "cache", said.append) as (place, _):
        assert isinstance(place, Path) and [path.name for path in place.rglob("*")] == ["ok.mp4"]
    assert not list(tmp_path.rglob("*evil*")) and any("3 names can't be files" in line for line in said)


def test_what_goes_wrong_is_a_sentence(bucket: Bucket, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def publish(address: str) -> str:
        (cache / RECORD).unlink(missing_ok=True)
        command = [sys.executable, "-m", "common.storage", "publish", address, "--cache", str(cache)]
        result = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)
        assert result.returncode == 1 and result.stderr.count("\n") == 1 and not result.stdout, result.stderr
        return result.stderr

    assert "it isn't there" in publish("s3://no-such-bucket-here/x")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with monkeypatch.context() as patched:
        patched.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        assert "can't be reached" in publish(bucket.address.text)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, "/nowhere")
    assert "there are no credentials" in publish(bucket.address.text)


def test_nothing_behind_an_address_is_wrong_usage(bucket: Bucket, tmp_path: Path) -> None:
    chain = Chain(tmp_path, tmp_path / "cache", tmp_path / "run")
    result = chain.embeddings(data=f"s3://{bucket.name}/empty")
    assert result.exit_code == 2 and f"There is nothing at s3://{bucket.name}/empty" in result.output
    result = chain.embeddings(data="s3://no-such-bucket-here/empty")
    assert result.exit_code == 1 and "it isn't there" in result.output


def test_features_of_a_data_set_in_a_bucket(bucket: Bucket, corpus: Path, models: Path, tmp_path: Path) -> None:
    for path in corpus.rglob("*"):
        if path.is_file():
            bucket.client.upload_file(str(path), bucket.name, f"aff ü/{path.relative_to(corpus).as_posix()}")
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "models").symlink_to(models / "models")
    chain = Chain(corpus, tmp_path / "cache", tmp_path / "run")
    result = chain.embeddings(data=f"s3://{bucket.name}/aff ü")
    assert result.exit_code == 0 and "6 videos" in result.output, result.output
    assert len(chain.manifest()["clips"]) == 6
    again = chain.embeddings(data=f"s3://{bucket.name}/aff ü")
    assert "nothing to do" in again.output and ", 0 of them fetched now" in again.output
    assert Copy(chain.cache, bucket.address).publish().files == 7, "six clips and the log"
    assert Remote(bucket.address).listing("features")[1] == []
