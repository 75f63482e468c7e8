"""Workspaces of the first release of the format are read, and written alike."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.golden.generate_workspace_v1 import made

from lakecore.base import CorruptData, UnsupportedFormat
from lakecore.tables import file_path
from lakecore.workspaces import Workspace

FOLDER = Path(__file__).parent


def _read(name: str) -> Any:
    return json.loads((FOLDER / name).read_text())


def test_a_workspace_is_read() -> None:
    """What it began with, and where its branches lie; unknown members are left alone."""
    body = _read("workspace_v1.json")["body"]
    workspace = Workspace.from_body("fix", {**body, "new": 1})
    assert (workspace.state, workspace.actor, workspace.reason) == ("open", "ada", "recount")
    base = workspace.base["planes"]
    assert (base.version, base.location, base.key) == (0, "tables/main/planes", ("tailnum",))
    assert workspace.base["ops.crews"].version == -1
    branch = workspace.branch(base)
    entry = _read("workspace_branch_v1.json")
    (table_id,) = [action["metaData"]["id"] for action in entry if "metaData" in action]
    assert branch.dataset_id == table_id
    (path,) = [action["add"]["path"] for action in entry if "add" in action]
    assert path.startswith("../../../../tables/main/planes/part-")
    assert file_path(branch.location, path).startswith("tables/main/planes/part-")
    assert Workspace.from_body("fix", workspace.to_body()) == workspace


def test_a_workspace_is_written_alike() -> None:
    """The same members in document and log entry, of the same types."""
    document, branch = made()
    assert _shape(document) == _shape(_read("workspace_v1.json"))
    assert _shape(branch) == _shape(_read("workspace_branch_v1.json"))


def test_another_format_is_named() -> None:
    """A newer one is unsupported, a broken one corrupt; both say where."""
    body = _read("workspace_v1.json")["body"]
    with pytest.raises(UnsupportedFormat, match="workspaces/fix"):
        Workspace.from_body("fix", {**body, "format": 2})
    with pytest.raises(CorruptData, match="workspaces/fix"):
        Workspace.from_body("fix", {**body, "base": {"planes": {}}})


def _shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _shape(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_shape(one) for one in value]
    return type(value).__name__
