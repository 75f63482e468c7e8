"""Write docs/cli.md from the commands of lakecore.cli."""

from __future__ import annotations

from pathlib import Path

from lakecore.cli._reference import reference_markdown

PAGE = Path(__file__).parents[1] / "docs" / "cli.md"

if __name__ == "__main__":
    PAGE.write_text(reference_markdown(), encoding="utf-8")
