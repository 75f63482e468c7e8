"""Write docs/configuration.md from the dataclasses of lakecore.config."""

from __future__ import annotations

from pathlib import Path

from lakecore.config import reference_markdown

PAGE = Path(__file__).parents[1] / "docs" / "configuration.md"

if __name__ == "__main__":
    PAGE.write_text(reference_markdown(), encoding="utf-8")
