"""Write backup_v1.json: a manifest of every kind of member, and one object of each kind."""

from __future__ import annotations

from pathlib import Path

from lakecore.backup._manifest import Entry, Manifest

FILE = Path(__file__).with_name("backup_v1.json")


def manifest() -> Manifest:
    """The manifest that the golden file holds."""
    return Manifest(
        number=7,
        at="2026-01-31T12:00:00.000000Z",
        lake_id="0b6b5a2c-6f0e-4d6c-9b0e-5a1d3f1c2b3a",
        origin="lakecore/0b6b5a2c-6f0e-4d6c-9b0e-5a1d3f1c2b3a",
        tree_size=3,
        root="ab" * 32,
        checkpoint="lakecore/x\n3\nq6urq6s=\n\n— lakecore/x AAAA\n",
        warnings=("a staged file is damaged at journal/staged/x.arrow",),
        entries=(
            Entry(
                "journal/log/00000000000000000000.parquet", 4096, "01" * 32, 1_700_000_000_000_000
            ),
            Entry("lakecore.json", 200, "02" * 32, 1_700_000_000_000_001),
            Entry("tables/main/flüge/part-0.parquet", 1 << 40, "03" * 32, 1_700_000_000_000_002),
        ),
    )


if __name__ == "__main__":
    FILE.write_bytes(manifest().encode())
