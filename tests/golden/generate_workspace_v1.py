"""Writes workspace_v1.json and workspace_branch_v1.json: a workspace, and a branch's first version.

Run it only when the format gets a new version, and give the files another name then.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import lakecore

FOLDER = Path(__file__).parent
BRANCH = f"workspaces/fix/main/planes/_delta_log/{0:020d}.json"


def made() -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The document of a workspace that is being used, and the log entry its branch begins with."""
    with tempfile.TemporaryDirectory() as folder, lakecore.open(folder, actor="ada") as lake:
        lake.create("planes", key="tailnum", entity_type="plane")
        lake.insert("planes", [{"tailnum": "N1", "seats": 55}])
        lake.create("ops.crews")
        workspace = lake.workspace("fix", reason="recount")
        workspace.update("planes", where="tailnum = 'N1'", set={"seats": 56})
        document = lake._parts.documents.get("workspaces", "fix")
        assert document is not None
        store = lake._parts.store
        lines = store.get(BRANCH).splitlines()
        return json.loads(store.get(document.path)), [json.loads(line) for line in lines]


if __name__ == "__main__":
    document, branch = made()
    (FOLDER / "workspace_v1.json").write_text(json.dumps(document, indent=1) + "\n")
    (FOLDER / "workspace_branch_v1.json").write_text(json.dumps(branch, indent=1) + "\n")
