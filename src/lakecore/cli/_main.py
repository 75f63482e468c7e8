"""The root command and the list of commands, by what they are for."""

from __future__ import annotations

import click

from lakecore._version import __version__
from lakecore.base.pandas import keep_pandas_out
from lakecore.cli._group import LazyGroup

SECTIONS = {
    "A lake": {
        "init": "make a lake",
        "up": "serve it over HTTP",
        "mcp": "serve it to agents, as tools",
        "status": "what is in it, and how it is",
        "maintain": "small files put together, and old ones removed",
        "doctor": "check the surroundings: disk, store, clock, versions",
        "bucket": "buckets beside the lake: what is in them, and how they are",
        "config": "settings in force, and whether they are right",
    },
    "Data": {
        "ingest": "load files into a dataset",
        "adopt": "make another program's Delta table a dataset",
        "datasets": "list the datasets, or describe one",
        "sql": "ask with SQL",
        "alter": "change a dataset's properties",
        "rename": "give a dataset another name",
        "drop": "take a dataset out of sight",
        "undrop": "bring a dropped dataset back",
    },
    "Changes": {
        "insert": "add rows",
        "upsert": "add rows, or change those with the same key",
        "replace": "put other rows in place of all",
        "update": "change columns where a condition holds",
        "delete": "remove rows where a condition holds",
        "pending": "changes that wait for an approval, and what each would change",
        "approve": "make a change that waits",
        "reject": "have a change that waits not made",
        "restore": "make a dataset what it was",
        "revert": "undo one mutation",
        "workspace": "changes apart from main, until they are merged",
    },
    "Search": {
        "search": "the rows that fit a text best",
        "index": "what makes that fast: over which columns, how far behind",
    },
    "The record": {
        "history": "every change of one row",
        "diff": "what differs between two versions",
        "blame": "who last changed each field of one row",
        "journal": "the events themselves",
        "verify": "check that the record is whole and the data is what it says",
        "reconcile": "journal what other programs committed",
        "replicate": "bring the lake's replicas up to date",
        "backup": "copies of the lake in another place, and lakes made of them",
    },
    "Rules": {"truth": "the rules that decide whether a change may happen"},
    "Models": {
        "agent": "have a model carry out a task with the lake's tools",
        "usage": "what models were asked, by whom, and what it cost",
    },
    "Code": {
        "review": "review code over iterations; a score rises when a fix is confirmed",
        "audit": "hold what commit messages claim against what the commits do",
    },
    "Access": {
        "keys": "API keys: who comes through the gateway, and what they may do",
        "webhooks": "who is told of which events",
    },
    "Shell": {"completion": "tab completion for bash, zsh, fish"},
}


@click.group(
    cls=LazyGroup,
    name="lakecore",
    sections=SECTIONS,
    package="lakecore.cli",
    epilog=(
        "Exit codes: 0 done, 1 a check failed or found something, 2 bad usage or input, "
        "3 inconclusive, 4 unavailable: try again.\n\n"
        "Example: lakecore ingest planes.csv --dataset planes --key tailnum"
    ),
)
@click.version_option(__version__, prog_name="lakecore", message="%(prog)s %(version)s")
def root() -> None:
    """A lakehouse that can prove what happened in it."""


def main() -> None:
    """The entry point ``lakecore``."""
    keep_pandas_out()  # no command gives data frames
    root.main()
