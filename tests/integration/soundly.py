"""Commands against a lake in this process, and whether the lake is sound after them."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner, Result

from lakecore.cli import root

GOOD = b"id,a\n1,x\n2,y\n"


def lakecore(lake: Path | str, *arguments: str, exit_code: int = 0, stdin: str = "") -> Result:
    """One command in this process."""
    command = ["--lake", str(lake), *arguments]
    result = CliRunner().invoke(root, command, input=stdin, catch_exceptions=False)
    assert result.exit_code == exit_code, result.stdout + result.stderr
    assert "Traceback" not in result.output
    assert "bug in Lakecore" not in result.output
    return result


def assert_sound(lake: Path) -> None:
    """It verifies, takes the next good file, and verifies again."""
    lakecore(lake, "verify")
    file = lake.parent / "the next.csv"
    file.write_text("id,a\n100,x\n101,y\n")
    lakecore(lake, "ingest", str(file), "--dataset", "the_next", "--key", "id")
    lakecore(lake, "ingest", str(file), "--dataset", "evolve")
    lakecore(lake, "verify")
    staged = lake / "journal" / "staged"
    assert not staged.exists() or list(staged.iterdir()) == []
