"""The reference page of the command line, ``docs/cli.md``, from the commands themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import click

from lakecore.cli._main import root

_WIDTH = 88


def commands(
    command: click.Command | None = None, parent: click.Context | None = None
) -> Iterator[tuple[click.Context, click.Command]]:
    """Every command with its context, groups before what is in them."""
    command = command or root
    name = command.name or ""
    ctx = click.Context(
        command, info_name=name, parent=parent, max_content_width=_WIDTH, terminal_width=_WIDTH
    )
    yield ctx, command
    if isinstance(command, click.Group):
        for child_name in command.list_commands(ctx):
            child = command.get_command(ctx, child_name)
            if child is not None:
                yield from commands(child, ctx)


_OBJECTS: Final = (
    ("init", "`lake`, `lake_id`"),
    (
        "status",
        "`lake` {`url`, `lake_id`, `format`}, `datasets`, `rows`, `size_bytes`, `journal`, "
        "`records`, `buckets`, `advice`",
    ),
    ("doctor", "`ok`, `findings`: list of {`name`, `ok`, `text`, `hint`}"),
    ("config show", "list of {`section`, `name`, `value`, `origin`}"),
    ("config check", "`ok`, `file`"),
    (
        "ingest",
        "list, one for each file: `file`, `dataset`, `format`, `rows`, `inserted`, `updated`, "
        "`deleted`, `unchanged`, `rejected`, `version`, `mutation_id`, `duplicate_of`, "
        "`size_bytes`, `sha256`, `notes`, `duration_s`, `dry_run`, `held`, `tier`, `preview`",
    ),
    (
        "datasets D, alter, rename, undrop",
        "a dataset: `name`, `dataset_id`, `key`, `entity_type`, `contract`, `protected`, `owner`, "
        "`description`, `location`, `version`, `rows`, `files`, `size_bytes`, `columns`, `state`",
    ),
    ("drop", "a dropped dataset: `name`, `dataset_id`, `key`, `entity_type`, `state`, `until`"),
    ("datasets", "list of datasets, with `--dropped` also dropped ones"),
    ("sql", "list of rows, each an object; with `--format` whatever that says"),
    (
        "insert, upsert, replace, update, delete, restore, revert, approve",
        "`mutation_id`, `commit_id`, `dataset`, `version`, `inserted`, `updated`, `deleted`, "
        "`unchanged`, `missing`, `conflicts`, `events`, `dry_run`, `tier`, `held`, `digest`, "
        "`changes`: a sample of {`action`, `entity_id`, `field`, `old_value`, `new_value`}, "
        "`decision` {`op`, `outcome`, `tier`, `demanded`, `rule_set`, `reasons`, `rules`, "
        "`samples`, `size`, `approval`, `input`}",
    ),
    (
        "pending, pending ID, reject",
        "a list of changes that wait, or one of them, with its document's members: `id`, `state`, "
        "`op`, `dataset`, `author`, `counts`, `decision`, `shown`, … (docs/changes.md)",
    ),
    ("history, journal recent", "list of events, as in [data.md](data.md#events)"),
    ("history with --as-of", "column to value, null when there was no such row"),
    (
        "journal tail",
        "a line for each event; the last of each batch has `cursor`, where the next tail goes on",
    ),
    ("blame", "column to event; `*` is the row as a whole"),
    ("journal query", "`items`: list of events, `next`: cursor or null"),
    (
        "journal stats",
        "`buffer_events`, `persisted_files`, `small_files`, `total_events_created`, "
        "`tree_size`, `root`, "
        "`pending`, `flush_threshold`, `seal_errors`, `last_seal_error`, `compact_errors`, "
        "`last_compact_error`, `last_checkpoint_error`, `duplicate_ids`, `index`",
    ),
    ("journal flush", "`sealed`"),
    ("journal compact", "`runs`, `replaced`, `bytes_before`, `bytes_after`, `waiting_s`"),
    ("journal record", "`recorded`"),
    (
        "journal import",
        "`format`, `rows`, `recorded`, `bad_count`, `bad`: the first of {`line`, `field`, "
        "`reason`}",
    ),
    ("journal archive", "`files`, `events`, `size_bytes`, `waiting`"),
    (
        "journal checkpoint, journal key rotate",
        "`origin`, `size`, `root` (base64), `vkey`, `note`: the signed note's text",
    ),
    (
        "journal prove",
        "`seq`, `entry`: the canonical event, `leaf_hash`, `path`, `origin`, `size`, `root` "
        "(hex), `proof`: the text of the proof",
    ),
    ("journal key show", "list of keys: `key_id`, `vkey`, `created_at`, `retired_at_size`"),
    (
        "keys create, keys rotate, keys revoke, keys list",
        "a key, or a list of keys: `id`, `principal`, `kind`, `roles`, `trust`, `scopes`, "
        "`created_us`, `expires_us`, `rotated_from`, `rotated_to`, `overlap_ends_us`, "
        "`revoked_us`, `note`; of a new one its text, `key`; in a list `state`, `last_used_us`",
    ),
    (
        "review run",
        "`run`, `iteration`, `exit_code`, `reason`, `blocking`, `files`, `reviewed`, `missing`, "
        "`confirmed`, `cost_usd`; with `--estimate` `files`, `unchanged`, `unreadable`, "
        "`questions`, `prompt_tokens`, `completion_tokens`, `cost_usd`: rung to dollars",
    ),
    (
        "review status",
        "list of {`path`, `score`, `confirmed_score`, `open`, `signal`, `reason`}",
    ),
    (
        "review report",
        "list of iterations: `iteration`, `files`, `reviewed`, `mean_score`, `mean_confirmed`, "
        "`first_attempt`, `structured`, `verified_components`, `tiers`, `movement`, `signals`, "
        "`files_moved`",
    ),
    (
        "review findings, review ignore",
        "a list of findings, or one: `id`, `state`, `severity`, `category`, `path`, `line`, "
        "`end_line`, `symbol`, `claim`, `quote`, `confidence`, `model`, `reason`, `who`, `until`",
    ),
    (
        "review trust",
        "list of {`model`, `trust`, `confirmed`, `refuted`, `control_hits`, `control_misses`, "
        "`grounded`, `ungrounded`, `is_known`, `precision_low`, `precision_high`, `recall_low`, "
        "`recall_high`, `evidence_low`, `evidence_high`}; with `--format jsonl` one of them a line",
    ),
    (
        "review canary",
        "list of rungs: `rung`, `model`, `state` (`as it was`, `alarm`, `inconclusive`), `reason`, "
        "`earlier_runs`, `is_whole`, `unanswered`, `planted`, `hits`, `clean`, "
        "`clean_with_findings`, `other_findings`, `recall`, `recall_interval`, `precision`, "
        "`precision_interval`, `cost_usd`, `misses`: list of {`case`, `path`, `line`, `what`, "
        "`after`}",
    ),
    (
        "review search",
        "list of hits: `kind` (`file`, `finding`, `review`), `id`, `repository`, `bar`, `path`, "
        "`line`, `symbol`, `severity`, `state`, `is_open`, `time`, `claim`, `quote`, `answer`, "
        "`score`, `why`: list of {`reason`, `points`}",
    ),
    (
        "review refactor",
        "list of signals: `kind` (`churn`, `returning`, `orbiting`, `looping`, `reopened`), "
        "`path`, `symbol`, `value`, `n`, `reason`, `source`",
    ),
    (
        "agent run, agent resume, agent cancel",
        "a run: `id`, `task`, `actor`, `model`, `pending`, `result`, `reason`, `detail`, `state`",
    ),
    ("agent list", "list of runs"),
    (
        "agent show",
        "a run with `steps`: list of {`kind`, `number`, `name`, `arguments`, `outcome`, `result`, "
        "`pending`}",
    ),
    (
        "usage",
        "`calls`, `requests`, `failed`, `denied`, `estimated`, `prompt_tokens`, "
        "`completion_tokens`, `total_tokens`, `cost_usd`, `cost_nano_usd`, `under_way`, "
        "`reserved_usd`; `by_model`, `by_rung`, `by_source`, `by_key`, `by_actor`, `by_day`: name "
        "to the same figures",
    ),
    (
        "index create, index refresh, index drop, index list",
        "an index, or a list of them: `name`, `id`, `dataset`, `dataset_id`, `kind`, `columns`, "
        "`key`, `model`, `dimension`, `metric`, `parameters`, `state`, `error`, "
        "`covered_version`, `version`, `rows_behind`, `rows`, `skipped`, `recall`, `size_bytes`, "
        "`built_us`, `duration_s`",
    ),
    (
        "search",
        "`index`, `dataset`, `covered_version`, `version`, `rows_behind`, `is_behind`, "
        "`is_exact`, `recall`, `next_offset`, `items`: list of {`_rank`, `_score`, `_key`, the "
        "key's columns, the indexed texts, `_highlight`}",
    ),
    (
        "verify",
        "`status`, and `integrity`, `anchored`, `completeness`: each {`status`, `summary`, "
        "`problems`, `detail`}; a status is green, broken, inconclusive or absent",
    ),
    (
        "audit",
        "`format`, `version`, `revisions`, `commits`: list of {`sha`, `subject`, `author`, "
        "`verdict`, `complete`, `claims`: list of {`kind`, `action`, `text`, `verdict`, `reason`, "
        "`evidence`, `fingerprint`, …}, `doubts`, `notes`}, `summary`, `notes`, `verdict`, "
        "`exit_code` (docs/auditor.md)",
    ),
    (
        "backup create",
        "`number`, `at`, `tree_size`, `root`, `objects`, `size_bytes`, `copied_objects`, "
        "`copied_bytes`, `warnings`",
    ),
    (
        "backup list",
        "list of {`number`, `at`, `lake_id`, `origin`, `tree_size`, `root`, `objects`, "
        "`size_bytes`, `warnings`}",
    ),
    (
        "backup restore",
        "`lake_id`, `origin`, `number`, `objects`, `size_bytes`, `restored_from` {`lake_id`, "
        "`origin`, `tree_size`, `root`, `checkpoint`, `backup`, `at`}",
    ),
    (
        "backup verify",
        "`status`, `backups`, `objects`, `size_bytes`, `events`, `root`, `problems`, "
        "`problem_count`",
    ),
)


def _objects() -> Iterator[str]:
    """What each command prints with --json; names are added, never renamed or removed."""
    yield "## What `--json` prints"
    yield ""
    yield "Names may be added; none is renamed or removed. Times are RFC 3339 in UTC, the"
    yield "values in events JSON text. `completion` prints a script in any case."
    yield ""
    yield "| command | JSON |"
    yield "|---|---|"
    for names, text in _OBJECTS:
        yield f"| {names} | {text} |"


def reference_markdown() -> str:
    """The help of every command, one section each."""
    lines = [
        "# Command line",
        "",
        "<!-- Written by scripts/generate_cli_docs.py: change the commands instead. -->",
        "",
        "Results go to stdout, everything else to stderr. Exit codes: 0 done, 1 a check failed or",
        "found something (an unexpected error, a bug, too), 2 bad usage or input, 3 inconclusive,",
        "4 unavailable: try again, 130 interrupted. With `--json`, a result is one JSON document",
        'on stdout and an error is `{"error": {"type", "message", "exit_code", …}}` on stderr.',
        "The options `--lake`, `--config` and `--json` may stand before or after the command.",
        "",
        *_objects(),
        "",
    ]
    for ctx, command in commands():
        text = "\n".join(line.rstrip() for line in command.get_help(ctx).splitlines())
        lines += [f"## {ctx.command_path}", "", "```text", text, "```", ""]
    return "\n".join(lines).rstrip() + "\n"
