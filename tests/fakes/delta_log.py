"""The first commit of a Delta table, written by hand."""

from __future__ import annotations

import json

FIRST_COMMIT = "_delta_log/00000000000000000000.json"


def first_commit(commit_id: str = "test") -> bytes:
    """A table with one column `n` and no rows, in a commit that carries `commit_id`."""
    field = {"name": "n", "type": "long", "nullable": True, "metadata": {}}
    metadata = {
        "id": "8bdc3e03-5b5e-4ab3-b7bb-37dd5bd5e8f5",
        "format": {"provider": "parquet", "options": {}},
        "schemaString": json.dumps({"type": "struct", "fields": [field]}),
        "partitionColumns": [],
        "configuration": {},
        "createdTime": 1,
    }
    info = {"timestamp": 1, "operation": "CREATE", "lakecore": {"commit_id": commit_id}}
    protocol = {"minReaderVersion": 1, "minWriterVersion": 2}
    actions = [{"commitInfo": info}, {"protocol": protocol}, {"metaData": metadata}]
    return "\n".join(json.dumps(action) for action in actions).encode()
