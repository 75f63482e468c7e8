"""Schemathesis over the whole OpenAPI, against a real server: no failure, whatever is sent.

Its own checks hold for every answer: no 500, documented statuses, types and schemas, refused
methods, wrong and missing keys, and what is gone stays gone. Links lead from one operation to the
next. Not asked for: that every value of a fitting type is taken (`positive_data_acceptance`):
what is SQL, a dataset's name or a glob is not in a schema.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.gateways import ALL, serving

ROUNDS = int(os.environ.get("LAKECORE_SOAK_ROUNDS", "0"))
PHASES = "coverage,fuzzing,stateful" if ROUNDS else "fuzzing,stateful"
EXAMPLES = max(3, min(ROUNDS, 500))
ENDLESS = "/journal/tail"
"""Its answer has no end; `test_gateway_journal.py` follows it."""

COMMAND = "from schemathesis.cli import schemathesis; schemathesis()"


def test_the_api_is_as_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every operation but the tail, by key and without one, one after the other and linked."""
    from lakecore.auth import _attempts

    # Wrong keys are sent on purpose, from one address.
    monkeypatch.setattr(_attempts, "MAX_FAILURES", 10**9)
    with serving(tmp_path, rate_per_s=0.0) as served:
        key = served.key("fuzz", *ALL)
        found = subprocess.run(
            [
                *(sys.executable, "-c", COMMAND, "run", f"{served.url}/openapi.json"),
                *("--header", f"Authorization: Bearer {key}"),
                *("--exclude-path", ENDLESS, "--phases", PHASES, "--max-examples", str(EXAMPLES)),
                *("--checks", "all", "--exclude-checks", "positive_data_acceptance"),
                *("--request-timeout", "60", "--suppress-health-check", "all"),
                *("--seed", os.environ.get("LAKECORE_SEED", "5"), "--generation-database", "none"),
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=300 if not ROUNDS else 1_800 + 20 * EXAMPLES,
        )
        assert found.returncode == 0, found.stdout[-8_000:] + found.stderr[-2_000:]
        paths = served.client.get("/openapi.json").json()["paths"]
        count = sum(len(operations) for operations in paths.values())
        assert f"Selected: {count - 1}/{count}" in found.stdout, found.stdout[-3_000:]
        assert "Unresolvable" not in found.stdout, found.stdout[-3_000:]
        assert served.lake.verify().status != "red"
