"""An S3 server on this machine, and a bucket of its own for each test."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from common.storage.address import Address


@dataclass(frozen=True)
class Bucket:
    """A bucket, and boto3's client of its server to look into it with."""

    name: str
    client: Any

    @property
    def address(self) -> Address:
        return Address(f"s3://{self.name}/cäche 1")

    def objects(self) -> dict[str, bytes]:
        listed = self.client.list_objects_v2(Bucket=self.name).get("Contents", [])
        return {
            item["Key"]: self.client.get_object(Bucket=self.name, Key=item["Key"])["Body"].read() for item in listed
        }


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    pytest.importorskip("s3fs", reason="s3fs isn't installed: make check-storage")
    moto = pytest.importorskip("moto.server", reason="moto isn't installed: make check-storage")
    running = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture
def bucket(server: str, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    import boto3

    for name, value in {
        "AWS_ENDPOINT_URL": server,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3", endpoint_url=server)
    name = f"bucket-{uuid.uuid4().hex}"
    client.create_bucket(Bucket=name)
    return Bucket(name, client)
