"""The parts of a store's URL."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakecore.base import InvalidInput
from lakecore.storage._url import Location, parse_url

names = st.text("abcXYZ019._-ü €", min_size=1, max_size=12).filter(lambda name: name.strip("."))


@pytest.mark.parametrize(
    ("url", "location"),
    [
        ("/data/lake", Location("file", path="/data/lake")),
        ("lake", Location("file", path="lake")),
        ("./a:b", Location("file", path="./a:b")),
        ("file:///data/my%20lake", Location("file", path="/data/my lake")),
        ("FILE://localhost/data", Location("file", path="/data")),
        ("memory://", Location("memory")),
        ("s3://bucket", Location("s3", "bucket")),
        ("s3a://bucket/a/b/", Location("s3", "bucket", "a/b")),
        ("S3://my.bucket-1//a", Location("s3", "my.bucket-1", "a")),
        ("gs://bucket_1/über uns", Location("gs", "bucket_1", "über uns")),
        ("az://$web/prefix", Location("az", "$web", "prefix")),
    ],
)
def test_a_url_has_parts(url: str, location: Location) -> None:
    """Every form that is known."""
    assert parse_url(url) == location


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "no place"),
        ("  ", "no place"),
        ("a\x00b", "NUL"),
        ("http://host/x", "found http://"),
        ("hdfs://host/x", "found hdfs://"),
        ("file://server/share", "this machine"),
        ("file://", "this machine"),
        ("file:///a?b", "%3F"),
        ("memory://shared", "no name"),
        ("s3://", "no bucket"),
        ("s3:///prefix", "no bucket"),
        ("gs://bu cket/x", "no bucket"),
        ("s3://bucket/a/../b", "'..'"),
        ("s3://bucket/a//b", "empty name"),
        ("s3://bucket/a%2Fb", "percent|%2F"),
        ("az://container/?sv=1&sig=hush", "no user, password"),
        ("s3://key:hush@bucket/a", "no user, password"),
        ("gs://bucket/a#hush", "no user, password"),
    ],
)
def test_a_bad_url_is_refused(url: str, says: str) -> None:
    """The error says what is wrong, and never repeats a password."""
    with pytest.raises(InvalidInput, match=says) as refused:
        parse_url(url)
    assert "hush" not in str(refused.value.to_dict())


@given(st.lists(names, min_size=1, max_size=4).map("/".join))
def test_a_remote_url_comes_back(prefix: str) -> None:
    """What is parsed is written as it was."""
    url = f"s3://bucket/{prefix}"
    location = parse_url(url)
    assert str(location) == url
    assert parse_url(str(location)) == location


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1))
def test_a_file_url_is_its_path(name: str) -> None:
    """Whatever Python escapes in a file URL is unescaped."""
    path = Path("/lake") / name.lstrip("/")
    assert parse_url(path.as_uri()).path == str(path)


@given(st.text())
def test_any_text_is_parsed_or_refused(text: str) -> None:
    """There is no third way."""
    try:
        location = parse_url(text)
    except InvalidInput:
        return
    assert location.scheme in {"file", "memory", "s3", "gs", "az"}
