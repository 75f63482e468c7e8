"""``lakecore datasets``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from lakecore.cli._context import State, pass_state
from lakecore.cli._group import command as make_command
from lakecore.cli._output import note, print_json, print_pairs, print_table, print_text
from lakecore.cli._text import count, moment_of, size

if TYPE_CHECKING:
    from lakecore.app import Lake
    from lakecore.catalog import Dataset


@make_command(name="datasets", epilog="Example: lakecore datasets planes")
@click.argument("dataset", required=False)
@click.option("--dropped", is_flag=True, help="Also those that `undrop` can bring back.")
@pass_state
def command(state: State, dataset: str | None, dropped: bool) -> None:
    """List the datasets, or describe one with its columns."""
    with state.open_lake() as lake:
        if dataset is not None:
            described = described_entry(lake, lake.dataset(dataset))
            if state.as_json:
                print_json(described)
            else:
                _print_one(described)
            return
        listed = [described_entry(lake, entry) for entry in lake.datasets(dropped=dropped)]
    if state.as_json:
        print_json(listed)
    elif not listed:
        note("there are no datasets; `lakecore ingest` makes one")
    else:
        _print_list(listed, with_state=dropped)


def described_entry(lake: Lake, entry: Dataset) -> dict[str, Any]:
    """A dataset as every command prints it with --json; of a dropped one not its table."""
    if entry.active:
        return {**lake.describe(entry.name), "state": entry.state}
    return {
        "name": entry.name,
        "dataset_id": entry.dataset_id,
        "key": list(entry.key),
        "entity_type": entry.entity_type,
        "state": entry.state,
        "until": moment_of(entry.purge_after_us),
    }


def _print_list(listed: list[dict[str, Any]], *, with_state: bool) -> None:
    columns = ["dataset", "rows", "columns", "size", "version", "key"]
    rows = [
        [
            entry["name"],
            f"{entry['rows']:,}" if "rows" in entry else "",
            len(entry["columns"]) if "columns" in entry else "",
            size(entry["size_bytes"]) if "size_bytes" in entry else "",
            _version(entry),
            ", ".join(entry["key"]),
        ]
        for entry in listed
    ]
    if with_state:
        columns.append("state")
        rows = [[*row, entry["state"]] for row, entry in zip(rows, listed, strict=True)]
    print_table(columns, rows, right=["rows", "columns", "size", "version"])


def _print_one(described: Mapping[str, Any]) -> None:
    print_pairs(
        {
            "dataset": described["name"],
            "rows": f"{described['rows']:,}",
            "key": ", ".join(described["key"]) or "none: its changes are kept as batches",
            "entity type": described["entity_type"],
            "contract": described["contract"],
            "protected": "yes" if described["protected"] else "no",
            "version": _version(described) or "none: nothing was written yet",
            "size": f"{size(described['size_bytes'])} in {count(described['files'], 'file')}",
            "location": described["location"],
            "id": described["dataset_id"],
            **{part: described[part] for part in ("owner", "description") if described[part]},
        }
    )
    print_text()
    print_table(
        ["column", "type", "null"],
        [
            (column["name"], column["type"], "yes" if column["nullable"] else "no")
            for column in described["columns"]
        ],
    )


def _version(entry: Mapping[str, Any]) -> str:
    version = entry.get("version")
    return "" if version is None else str(version)
