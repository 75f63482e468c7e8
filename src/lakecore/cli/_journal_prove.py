"""``lakecore journal checkpoint | prove | key``: signatures and proofs."""

from __future__ import annotations

import os
import tempfile
from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from lakecore.base import InvalidInput
from lakecore.cli._context import SOURCE, State, pass_state
from lakecore.cli._group import Group, group
from lakecore.cli._group import command as make_command
from lakecore.cli._output import note, print_json, print_table, print_text
from lakecore.cli._text import count

if TYPE_CHECKING:
    from lakecore.journal import Journal, SignedCheckpoint

_PROOF_ENDING: Final = ".tlog-proof"
_ENTRY_ENDING: Final = ".entry"


def add_to(journal: Group) -> None:
    """Put the commands of this module into ``lakecore journal``."""
    for command in (checkpoint, prove, key):
        journal.add_command(command)


@make_command(name="checkpoint", epilog="Example: lakecore journal checkpoint > head.note")
@pass_state
def checkpoint(state: State) -> None:
    """Seal and sign everything that is committed; print the signed note.

    Whoever keeps the note can tell later whether anything before it was changed. Nothing
    is signed that was not recomputed from the events, or that does not continue what was
    signed before.
    """
    with state.open_lake() as lake:
        lake.journal.flush()
        made = lake.journal.checkpoint()
        _print_checkpoint(state, lake.journal, made)


@make_command(name="prove", epilog="Example: lakecore journal prove 1234 -o row.tlog-proof")
@click.argument("event", metavar="SEQ|EVENT_ID")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(),
    help="Write the proof there, and the event's canonical text beside it (.entry).",
)
@pass_state
def prove(state: State, event: str, output: str | None) -> None:
    """Prove that an event is in the signed journal, to somebody without the lake.

    The proof is a text as c2sp.org/tlog-proof has it. docs/proofs.md shows how to check
    it by hand; examples/check_proof.py does it in plain Python. A number is a seq,
    anything else an event id.
    """
    with state.open_lake() as lake:
        proof = lake.journal.prove(int(event) if event.isdecimal() else event)
    if output is not None:
        path = Path(output)
        name = path.name.removesuffix(_PROOF_ENDING)
        entry = path.with_name(name + _ENTRY_ENDING)
        _write_file(entry, proof.entry)
        _write_file(path, proof.to_bytes())
        note(f"{path}: the proof; {entry}: the event that it shows")
    if state.as_json:
        print_json(proof.to_dict())
    elif output is None:
        print_text(proof.to_bytes().decode().removesuffix("\n"))
        note("the event's text goes with it: -o FILE writes both, --json prints both")


@group(name="key", epilog="Example: lakecore journal key show")
def key() -> None:
    """The keys that sign the journal."""


@key.command("show", epilog="Example: lakecore journal key show --json")
@pass_state
def show(state: State) -> None:
    """The verifier keys of this machine: the public half, to be given to whoever checks.

    Secret keys stay in the state directory of the machine that signs.
    """
    with state.open_lake() as lake:
        keys = lake.journal.signing_keys()
    if state.as_json:
        print_json(keys)
    elif not keys:
        note("this machine has no key: the first `journal checkpoint` of a log makes it")
    else:
        rows = [
            [item["created_at"], "" if (size := item["retired_at_size"]) is None else f"{size:,}"]
            for item in keys
        ]
        for item in keys:
            print_text(item["vkey"])
        print_text()
        print_table(["created", "retired at size"], rows, right=["retired at size"])


@key.command("rotate", epilog="Example: lakecore journal key rotate --reason 'a laptop was lost'")
@click.option("--actor", metavar="NAME", help="In whose name; default as configured.")
@click.option("--reason", metavar="TEXT", default="", help="Why; it is recorded.")
@pass_state
def rotate(state: State, actor: str | None, reason: str) -> None:
    """Sign with a new key from now on.

    The new key is recorded in the journal and the next checkpoint is signed by both keys,
    so that whoever knows the old one can follow.
    """
    with state.open_lake(actor=actor) as lake:
        made = lake.journal.rotate_key(actor=lake.actor, source=SOURCE, reason=reason)
        _print_checkpoint(state, lake.journal, made)
        if not state.as_json:
            note(f"the new key: {lake.journal.signing_keys()[-1]['vkey']}")


def _print_checkpoint(state: State, journal: Journal, made: SignedCheckpoint) -> None:
    text = made.note.to_bytes().decode()
    if not state.as_json:
        print_text(text.removesuffix("\n"))
        note(f"{count(made.size, 'event')} signed")
        return
    print_json(
        {
            "origin": made.checkpoint.origin,
            "size": made.size,
            "root": b64encode(made.root).decode(),
            "vkey": _vkey(journal.signing_keys(), made),
            "note": text,
        }
    )


def _vkey(keys: list[dict[str, Any]], made: SignedCheckpoint) -> str | None:
    """The newest key of this machine that signed the checkpoint."""
    signed = {signature.key_id.hex() for signature in made.note.signatures}
    return next((item["vkey"] for item in reversed(keys) if item["key_id"] in signed), None)


def _write_file(path: Path, data: bytes) -> None:
    """Whole or not at all."""
    if not path.parent.is_dir() or path.is_dir():
        raise InvalidInput("the proof cannot be written there", expected="a file", where=path)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    unfinished = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        umask = os.umask(0)
        os.umask(umask)
        unfinished.chmod(0o666 & ~umask)
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
