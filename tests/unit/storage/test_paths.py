"""Which paths may name an object."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lakecore.base import InvalidInput
from lakecore.storage._paths import (
    MAX_PATH_BYTES,
    MAX_SEGMENT_BYTES,
    check_path,
    check_prefix,
    is_unfinished,
)

segments = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\"))
texts = st.lists(segments | st.sampled_from([".", "..", ".tmp-x", "a#1"]), max_size=6).map("/".join)


def is_good(path: str) -> bool:
    """The rule, written as plainly as possible."""
    parts = path.split("/")
    return (
        len(path.encode()) <= MAX_PATH_BYTES
        and all(part not in {"", ".", ".."} for part in parts)
        and all(len(part.encode()) <= MAX_SEGMENT_BYTES for part in parts)
        and not any(is_unfinished(part) for part in parts)
        and not any(ord(c) < 32 or c in "\\\x7f" for c in path)
    )


@given(texts | st.text(st.characters(exclude_categories=["Cs"])))
@example("a" * 256)
@example("/".join(["a" * 250] * 4 + ["b" * 20]))
@example("/".join(["a" * 250] * 4 + ["b" * 21]))
@example("ü" * 127 + "a")
@example("ü" * 128)
def test_the_fast_way_and_the_rule_agree(path: str) -> None:
    """A path is taken unchanged if the rule says so, and refused otherwise."""
    if is_good(path):
        assert check_path(path) is path
        assert check_prefix(f"{path}/") == f"{path}/"
    else:
        with pytest.raises(InvalidInput):
            check_path(path)


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("", "empty"),
        ("/etc/passwd", "absolute"),
        ("a//b", "empty name"),
        ("a/../b", "'..'"),
        ("a\\b", "backslash"),
        ("\udcff", "surrogate"),
        ("x" * 2_000, "2,000 bytes"),
        ("a/.tmp-1-2", "reserved"),
        ("part.parquet#3", "reserved"),
    ],
)
def test_a_refusal_says_why(path: str, says: str) -> None:
    """What is wrong, and a path short enough to read."""
    with pytest.raises(InvalidInput, match=says) as refused:
        check_path(path)
    assert len(str(refused.value)) < 300
    str(refused.value).encode()


def test_a_prefix_is_empty_or_a_folder() -> None:
    """The root has no name; every other folder ends in a slash."""
    assert check_prefix("") == ""
    for prefix in ("a", "/", "a//", "../"):
        with pytest.raises(InvalidInput):
            check_prefix(prefix)
