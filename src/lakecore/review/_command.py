"""Running a command of somebody else's in a folder: bounded, and with nothing of ours.

No shell: words are arguments. Of the environment it gets names of an allow-list alone, so no
key and no token; its home and its temporary folder are its own. Output is read to the end and
its last part kept. It is the leader of a process group, and whatever is left of that is killed
when it ends. It is no sandbox: the network and this user's files are there.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import IO, Final

from lakecore.base import InvalidInput
from lakecore.base.limits import KIB

ALLOWED: Final = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "SYSTEMROOT")
"""Names of the environment that a command gets."""
TIMEOUT_S: Final = 600.0
MAX_OUTPUT_BYTES: Final = 16 * KIB
"""Of output that is kept: its end."""
MAX_COMMAND_CHARACTERS: Final = 4_000
_CHUNK_BYTES: Final = 1 << 16
_DRAIN_S: Final = 2.0
_CANNOT_BE_RUN: Final = (126, 127)
"""As a shell or `env` says that the program is not there, or is none."""
_PYTEST: Final = ("pytest", "py.test")


class Ran(StrEnum):
    """How a command ended."""

    PASSED = "passed"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    NOT_RUN = "not_run"


@dataclass(frozen=True, slots=True)
class CommandResult:
    """What a command said.

    Attributes:
        exit_code: None where it did not end by itself.
        output: the end of what it wrote, both streams in the order of their coming.
        reason: why it was not run to its end; "" where it was.
    """

    ran: Ran
    exit_code: int | None = None
    output: str = ""
    reason: str = ""


def words_of(command: str) -> list[str]:
    """The words of a command, as a shell would part them. Raises `InvalidInput`."""
    try:
        if len(command) > MAX_COMMAND_CHARACTERS or "\0" in command:
            raise ValueError(f"it has {len(command):,} characters")
        words = shlex.split(command)
    except ValueError as error:
        raise InvalidInput("not a command", found=str(error), where=command[:80]) from error
    if not words:
        raise InvalidInput("not a command", expected="a program and its arguments", found="nothing")
    return words


def run_command(
    words: Sequence[str],
    folder: Path,
    home: Path,
    *,
    timeout_s: float = TIMEOUT_S,
    max_output_bytes: int = MAX_OUTPUT_BYTES,
    environment: Mapping[str, str] | None = None,
) -> CommandResult:
    """Run a command in a folder to its end.

    Args:
        home: an empty folder, for what it wants to keep.
        environment: what `ALLOWED` is looked up in; default this process's.
    """
    try:
        process = subprocess.Popen(  # noqa: S603 - a list of arguments, no shell
            list(words),
            cwd=folder,
            env=surroundings(folder, home, os.environ if environment is None else environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        reason = f"{words[0][:80]} cannot be run: {getattr(error, 'strerror', None) or error}"
        return CommandResult(Ran.NOT_RUN, reason=reason)
    tail = _Tail(process.stdout, max_output_bytes)
    code: int | None = None
    try:
        code = process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        pass
    finally:
        _end_group(process)
    return _result(words, code, tail.text(), timeout_s)


def surroundings(folder: Path, home: Path, ours: Mapping[str, str]) -> dict[str, str]:
    """The environment of a command."""
    return {name: ours[name] for name in ALLOWED if name in ours} | {
        "HOME": str(home),
        "TMPDIR": str(home),
        "PWD": str(folder),
        # Whatever asks git finds no repository around the folder, and nobody's configuration.
        "GIT_CEILING_DIRECTORIES": str(folder.parent),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _result(words: Sequence[str], code: int | None, output: str, timeout_s: float) -> CommandResult:
    if code is None:
        reason = f"it did not end within {timeout_s:g} s"
        return CommandResult(Ran.TIMED_OUT, output=output, reason=reason)
    if code == 0:
        return CommandResult(Ran.PASSED, code, output)
    if code < 0 or code in _CANNOT_BE_RUN:
        how = f"signal {-code}" if code < 0 else f"exit code {code}: there is no such program"
        return CommandResult(Ran.NOT_RUN, code, output, f"it ended by {how}")
    if code != 1 and _is_pytest(words):
        reason = f"pytest ended with {code}: it ran no test to its end"
        return CommandResult(Ran.NOT_RUN, code, output, reason)
    return CommandResult(Ran.FAILED, code, output)


def _is_pytest(words: Sequence[str]) -> bool:
    """Whether it is pytest: its exit code is 1 where a test fails, and more where none was run."""
    module = [later for word, later in pairwise(words) if word == "-m"]
    return Path(words[0]).name in _PYTEST or "pytest" in module


def _end_group(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


class _Tail:
    """The end of what comes out of a pipe, read in a thread so that nobody waits for room."""

    def __init__(self, stream: IO[bytes] | None, max_bytes: int) -> None:
        assert stream is not None  # noqa: S101 - asked for by who started the process
        self._stream = stream
        self._max_bytes = max_bytes
        self._kept = bytearray()
        self._dropped = 0
        self._thread = threading.Thread(target=self._read, name="lakecore-command", daemon=True)
        self._thread.start()

    def text(self) -> str:
        """What came; who left the group and still holds the pipe is not waited for."""
        self._thread.join(_DRAIN_S)
        kept = bytes(self._kept)[-self._max_bytes :].decode("utf-8", "replace")
        cut = self._dropped + max(0, len(self._kept) - self._max_bytes)
        return f"… {cut:,} bytes before …\n{kept}" if cut else kept

    def _read(self) -> None:
        with self._stream, contextlib.suppress(OSError, ValueError):
            while chunk := os.read(self._stream.fileno(), _CHUNK_BYTES):
                self._kept += chunk
                if len(self._kept) > 2 * self._max_bytes:
                    extra = len(self._kept) - self._max_bytes
                    self._dropped += extra
                    del self._kept[:extra]
