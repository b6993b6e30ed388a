"""What is an address, and what the command lines make of one."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from common.storage.address import Address, PathOrAddress, read_address


@pytest.mark.parametrize("text", ["s3://bucket/a b/ü", "gs://x", "memory://a", "file:///data/x", "S3://Bucket"])
def test_an_address_has_a_scheme_and_a_place(text: str) -> None:
    assert read_address(text) == Address(text)
    assert PathOrAddress().convert(text, None, None) == Address(text)


@pytest.mark.parametrize(
    "text", ["/data/x", "a/b", "s3:/b/x", "C:\\x", "://x", "s3://", "file:///", "simplecache::s3://x"]
)
def test_all_else_is_a_path(text: str) -> None:
    assert read_address(text) is None
    assert PathOrAddress().convert(text, None, None) == Path(text)


def test_a_password_is_never_shown() -> None:
    address = Address("ftp://anna:secret@host/data")
    assert (
        str(address) == "ftp://host/data"
        and "secret" not in address.slug + address.below("x")
        and "anna" in address.text
    )


def test_addresses_have_folders_of_their_own() -> None:
    texts = [
        "s3://b/a_c",
        "s3://b/a/c",
        "s3://b/" + "x" * 300 + "1",
        "s3://b/" + "x" * 300 + "2",
        "s3://../../x",
        "s3://b/ü",
    ]
    slugs = [Address(text).slug for text in texts]
    assert len(set(slugs)) == len(slugs)
    assert all("/" not in slug and not slug.startswith(".") and len(slug) < 100 for slug in slugs)


@pytest.mark.parametrize(
    ("package", "arguments", "cure"),
    [
        ("stage1_embeddings", ["check-data", "--data", "s3://b/x"], "only `make embeddings`"),
        ("stage1_embeddings", ["status", "--cache", "s3://b/x"], "common.storage pull"),
        ("stage2_beit", ["train", "--cache", "s3://b/x"], "CACHE= of make takes it"),
        ("stage3_mlp", ["test", "--cache", "memory://x"], "docs/storage.md"),
        ("common.storage", ["pull", "s3://b/x", "--cache", "s3://b/y"], "the local copy"),
        ("common.storage", ["publish", "somewhere", "--cache", "x"], "somewhere is no address"),
    ],
)
def test_an_address_in_the_wrong_place_is_wrong_usage(package: str, arguments: list[str], cure: str) -> None:
    import importlib

    main = importlib.import_module(f"{package}.cli").main
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2 and cure in " ".join(result.output.split()), result.output
