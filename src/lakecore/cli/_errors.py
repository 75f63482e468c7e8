"""How a command ends: every failure in one shape on stderr, with an exit code of ours."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable, Mapping

import click

from lakecore.base import LakecoreError
from lakecore.cli._text import printable

_INTERRUPTED = 130
_TRACEBACK_VARIABLE = "LAKECORE_TRACEBACK"
_PARTS = ("expected", "found", "where", "note", "hint")


def guarded(run: Callable[[], None], *, as_json: bool) -> int:
    """Run, and turn how it ended into an exit code; errors are printed on the way."""
    try:
        run()
        sys.stdout.flush()
    except BrokenPipeError:
        _forget_stdout()
    except click.exceptions.Exit as leaving:
        return _flushed(leaving.exit_code)
    except (KeyboardInterrupt, click.Abort):
        print("interrupted", file=sys.stderr)
        return _INTERRUPTED
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return 2
    except click.ClickException as error:
        return _report(_usage(error), 2, as_json=as_json)
    except LakecoreError as error:
        _show_traceback()
        return _report(_ours(error), error.exit_code, as_json=as_json)
    except OSError as error:
        _show_traceback()
        return _report(_system(error), 2, as_json=as_json)
    except Exception as error:
        _show_traceback()
        return _report(_bug(error), 1, as_json=as_json)
    return 0


def _flushed(exit_code: int) -> int:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _forget_stdout()
    return exit_code


def _forget_stdout() -> None:
    """The reader has what it wanted (``| head``): nothing more is written, not even at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _show_traceback() -> None:
    if os.environ.get(_TRACEBACK_VARIABLE) == "1":
        traceback.print_exc()


def _report(error: Mapping[str, str], exit_code: int, *, as_json: bool) -> int:
    if as_json:
        text = json.dumps({"error": {**error, "exit_code": exit_code}}, ensure_ascii=False)
        print(text, file=sys.stderr)
        return exit_code
    print(f"error: {printable(error['message'])}", file=sys.stderr)
    for part in _PARTS:
        if part in error:
            print(f"  {part + ':':<9} {_indented(error[part])}", file=sys.stderr)
    return exit_code


def _indented(text: str) -> str:
    """Further lines, such as a query and the mark below it, start where the first one does."""
    return f"\n{' ' * 12}".join(printable(line) for line in text.splitlines())


def _ours(error: LakecoreError) -> dict[str, str]:
    parts = error.to_dict()
    notes = getattr(error, "__notes__", None)
    return {**parts, "note": "; ".join(notes)} if notes else parts


def _usage(error: click.ClickException) -> dict[str, str]:
    message = error.format_message().strip().rstrip(".")
    message = message[:1].lower() + message[1:]
    parts = {"type": "usage", "message": message}
    if isinstance(error, click.UsageError) and error.ctx is not None:
        parts["hint"] = f"{error.ctx.command_path} --help"
    return parts


def _system(error: OSError) -> dict[str, str]:
    parts = {"type": "system", "message": (error.strerror or str(error)).lower()}
    if error.filename is not None:
        parts["where"] = str(error.filename)
    return parts


def _bug(error: Exception) -> dict[str, str]:
    first_line = (str(error).splitlines() or [""])[0]
    return {
        "type": "bug",
        "message": "this is a bug in Lakecore",
        "found": f"{type(error).__name__}: {first_line}",
        "hint": f"run it again with {_TRACEBACK_VARIABLE}=1 and report what it prints",
    }
