"""A lake with a dataset for each contract, and a copy of it for each test."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.integration.soundly import GOOD, lakecore


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with a dataset for each contract; copied for each test."""
    folder = tmp_path_factory.mktemp("made")
    file = folder / "good.csv"
    file.write_bytes(GOOD)
    for contract in ("evolve", "freeze", "quarantine"):
        command = ["--dataset", contract, "--key", "id", "--contract", contract]
        lakecore(folder / "lake", "ingest", str(file), *command)
    return folder / "lake"


@pytest.fixture
def lake(made: Path, tmp_path: Path) -> Path:
    """A lake of this test's own."""
    return Path(shutil.copytree(made, tmp_path / "lake"))
