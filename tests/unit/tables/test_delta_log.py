"""The bytes of a commit, and what is read back from one."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from lakecore._version import __version__
from lakecore.base import CorruptData
from lakecore.tables._delta_log import (
    AddFile,
    Commit,
    RemoveFile,
    commit_path,
    commit_time_us,
    metadata_for,
    protocol_for,
)

PLAIN = pa.schema([("id", pa.int64())])
ZONELESS = pa.schema([("id", pa.int64()), ("at", pa.list_(pa.timestamp("us")))])


def test_a_commit_is_one_action_a_line() -> None:
    """`commitInfo` first, with the record inside; then what it removes and adds."""
    commit = Commit(
        operation="WRITE",
        parameters={"mode": "Append"},
        timestamp_us=1_234_567,
        record={"commit_id": "c"},
        txn=("app", 1),
        removes=[RemoveFile(path="old", size_bytes=1)],
        adds=[AddFile(path="new", size_bytes=2, rows=3, stats="{}")],
    )
    actions = [json.loads(line) for line in commit.to_bytes().splitlines()]
    assert actions == [
        {
            "commitInfo": {
                "timestamp": 1_234,
                "operation": "WRITE",
                "operationParameters": {"mode": "Append"},
                "engineInfo": f"lakecore/{__version__}",
                "lakecore": {"commit_id": "c"},
            }
        },
        {"txn": {"appId": "app", "version": 1}},
        {
            "remove": {
                "path": "old",
                "deletionTimestamp": 1_234,
                "dataChange": True,
                "extendedFileMetadata": True,
                "partitionValues": {},
                "size": 1,
            }
        },
        {
            "add": {
                "path": "new",
                "partitionValues": {},
                "size": 2,
                "modificationTime": 1_234,
                "dataChange": True,
                "stats": "{}",
            }
        },
    ]


def test_text_with_line_ends_stays_on_its_line() -> None:
    """Whatever is in a parameter, a commit has as many lines as actions."""
    text = "a\nb\r\u2028\u0085c"
    data = Commit(operation="DELETE", parameters={"predicate": text}, timestamp_us=0).to_bytes()
    assert data.count(b"\n") == 1
    assert json.loads(data)["commitInfo"]["operationParameters"]["predicate"] == text
    assert commit_time_us(data) == 0


def test_zoneless_timestamps_raise_the_protocol() -> None:
    """Only a table that has such a column, at any depth, asks more of its readers."""
    assert protocol_for(PLAIN) == {"minReaderVersion": 1, "minWriterVersion": 2}
    assert protocol_for(ZONELESS) == {
        "minReaderVersion": 3,
        "minWriterVersion": 7,
        "readerFeatures": ["timestampNtz"],
        "writerFeatures": ["timestampNtz", "appendOnly", "invariants"],
    }


def test_metadata_keeps_the_log() -> None:
    """No engine may delete old commits at a checkpoint: our records are in them."""
    metadata = metadata_for(PLAIN, table_id="t", created_us=5_000)
    assert metadata["configuration"] == {"delta.enableExpiredLogCleanup": "false"}
    assert metadata["createdTime"] == 5
    assert json.loads(metadata["schemaString"])["fields"][0]["type"] == "long"


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        ({"timestamp": 7}, 7_000),
        ({"timestamp": 7, "inCommitTimestamp": 9}, 9_000),
        ({"timestamp": 7, "lakecore": {"mutations": [{"timestamp_us": 7_123}]}}, 7_123),
        ({}, 0),
    ],
)
def test_commit_times(info: dict[str, object], expected: int) -> None:
    """Our record's microseconds, else the log's milliseconds, wherever the action stands."""
    lines = [{"add": {"path": "x"}}, {"commitInfo": info}]
    assert commit_time_us("\n".join(map(json.dumps, lines)).encode()) == expected


def test_what_is_no_commit_is_corrupt() -> None:
    """Bytes that are not JSON lines are reported, with their place."""
    with pytest.raises(CorruptData, match="here"):
        commit_time_us(b'{"commitInfo": {', where="here")


def test_commit_paths_have_twenty_digits() -> None:
    """As the Delta protocol names them."""
    assert commit_path("t", 7) == "t/_delta_log/00000000000000000007.json"
