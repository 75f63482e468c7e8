"""``lakecore review canary``: whether the models are still what they were."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from lakecore.cli._context import State, pass_state
from lakecore.cli._group import command as make_command
from lakecore.cli._output import note, print_json, print_table, print_text


@make_command(
    name="canary",
    epilog=(
        "Exit codes: 0 every model is as it was, 1 one is not, 3 that is not known: fewer runs "
        "than set the limits, or not every case was answered.\n\n"
        "Example: lakecore review canary ./canaries --rung local"
    ),
)
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--rung", "rungs", multiple=True, help="Only this rung; default: each of the ladder.")
@click.option(
    "--make",
    is_flag=True,
    help="Make the set first, of the files of a repository, if there is none.",
)
@click.option(
    "--repo",
    "repository",
    default=".",
    show_default=True,
    type=click.Path(exists=True, file_okay=False),
    help="With --make: a folder of the repository.",
)
@click.option("--glob", "patterns", multiple=True, help="With --make: which files.")
@click.option(
    "--each",
    type=click.IntRange(1, 20),
    default=1,
    show_default=True,
    help="With --make: faults for each file, in a copy each.",
)
@click.option("--seed", default="canary", show_default=True, help="With --make: which faults.")
@click.option("--prompt", default="forensic", show_default=True, help="As of `review run`.")
@click.option(
    "--answer",
    "output_format",
    type=click.Choice(["json", "markdown"]),
    default="json",
    show_default=True,
    help="As of `review run`.",
)
@click.option("--temperature", type=float, default=0.0, show_default=True)
@click.option("--workers", type=click.IntRange(1, 64), default=4, show_default=True)
@click.option("--misses", is_flag=True, help="Name the faults that were not found.")
@pass_state
def canary(
    state: State,
    /,
    folder: Path,
    rungs: tuple[str, ...],
    make: bool,
    repository: str,
    patterns: tuple[str, ...],
    each: int,
    seed: str,
    prompt: str,
    output_format: str,
    temperature: float,
    workers: int,
    misses: bool,
) -> None:
    """Try models on the set of cases in FOLDER, and compare with the runs before.

    The set has files with one planted fault each, and the same without. The first five runs of a
    model under a bar set the limits of its hits and its mean score; a later run outside of them
    is an alarm, and an event. The more faults, the smaller the change that is noticed: of ten
    only a loss of most, of forty a loss of half.
    """
    from lakecore.app import make_canaries, run_canaries
    from lakecore.review import Selection, canary_exit_code, has_cases

    if make and not has_cases(folder):
        selection = Selection(tuple(patterns))
        made = make_canaries(folder, repository, selection, seed=seed, each=each)
        note(
            f"{made.planted} faults, {len(made.cases) - made.planted} files without: set {made.id}"
        )
    with state.open_lake() as lake:
        results = run_canaries(
            lake,
            folder,
            bar=lake.reviews.bar(prompt, output_format=output_format, temperature=temperature),
            rungs=rungs,
            workers=workers,
            on_case=lambda rung, done, of: note(f"{done:>5} of {of}  {rung}"),
        )
    if state.as_json:
        print_json([one.to_body() for one in results])
    else:
        _print(results, misses)
    sys.exit(canary_exit_code([one.drift for one in results]))


def _print(results: list[Any], misses: bool) -> None:
    bodies = [one.to_body() for one in results]
    print_table(
        ("rung", "model", "state", "recall", "precision", "why"),
        [
            [
                body["rung"],
                body["model"],
                body["state"],
                f"{body['hits']}/{body['planted']}",
                _share(body["precision"]),
                body["reason"],
            ]
            for body in bodies
        ],
    )
    for body in bodies if misses else ():
        for miss in body["misses"]:
            where = f"{miss['path']}:{miss['line']}"
            print_text(f"{body['rung']} missed {miss['case']}  {where}  {miss['what']}")


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.0%}"
