"""A command line whose lake is a fake."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from click.testing import CliRunner, Result
from tests.fakes.fake_lake import FakeLake

from lakecore.cli import root

Run = Callable[..., Result]


@pytest.fixture
def lake(monkeypatch: pytest.MonkeyPatch) -> FakeLake:
    """The lake that every command opens in this test."""
    fake = FakeLake()
    module = SimpleNamespace(open_lake=fake.open_lake)
    monkeypatch.setitem(sys.modules, "lakecore.app", module)  # type: ignore[arg-type]  # a stand-in
    return fake


@pytest.fixture
def run(lake: FakeLake, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run ``lakecore`` with arguments; the result has exit_code, stdout and stderr."""
    for name in ("LAKECORE_LAKE", "LAKECORE_ACTOR", "LAKECORE_TRACEBACK"):
        monkeypatch.delenv(name, raising=False)

    def invoke(*arguments: str, stdin: str | bytes | None = None) -> Result:
        return CliRunner().invoke(root, list(arguments), input=stdin, catch_exceptions=False)

    return invoke
