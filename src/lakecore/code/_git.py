"""Running git: read only, without its hooks, pagers and helpers, within bounds.

A repository's own configuration is not trusted: whoever wrote it could name programs that
git runs (a diff driver, a file-system monitor, a hook, a transport). So the surroundings are
made anew for every call, the options that start programs are switched off on the command
line, which no configuration overrides, and nothing is fetched.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, Final

from lakecore.base import Bug, Inconclusive, InvalidInput, NotFound, Stop
from lakecore.base.limits import MIB

OLDEST_GIT: Final = (2, 32)
_CHUNK_BYTES: Final = 1 << 16
_MAX_ERROR_BYTES: Final = 4_096

_SWITCHES: Final = (
    "--no-pager",
    "--no-optional-locks",
    "--no-replace-objects",
    "--literal-pathspecs",
    *(
        part
        for option in (
            "core.fsmonitor=false",
            "core.hooksPath=/dev/null",
            "core.pager=cat",
            "core.quotePath=false",
            "core.bigFileThreshold=8m",
            "core.attributesFile=/dev/null",
            "diff.external=",
            "diff.orderFile=/dev/null",
            "diff.ignoreSubmodules=none",
            "grep.fallbackToNoIndex=false",
            "log.showSignature=false",
            "log.showRoot=true",
            "log.mailmap=false",
            "protocol.allow=never",
            "submodule.recurse=false",
        )
        for part in ("-c", option)
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GitLimits:
    """Bounds of what git may take and give.

    Attributes:
        timeout_s: seconds that one call may run, or stay silent while it streams.
        max_output_bytes: of one call that is not streamed.
        max_patch_bytes: of the differences between two commits; more is cut, and said.
        max_blob_bytes: of one file that is read; a larger one is `huge` and has no text.
        max_message_bytes: of one commit's message; the rest is cut, and said.
        max_files: of one commit; the rest is cut, and said.
    """

    timeout_s: float = 60.0
    max_output_bytes: int = 64 * MIB
    max_patch_bytes: int = 32 * MIB
    max_blob_bytes: int = 1 * MIB
    max_message_bytes: int = 1 * MIB
    max_files: int = 50_000


class Git:
    """The git of one repository; every call is a process of its own.

    Args:
        git_dir: the repository's ``.git``; None before it is known (`find_git_dir`).
        directory: where git runs.
    """

    def __init__(self, directory: Path, limits: GitLimits, git_dir: Path | None = None) -> None:
        self.directory = directory
        self.limits = limits
        self._program = program()
        self._git_dir = git_dir

    def command(self, *arguments: str) -> list[str]:
        where = [f"--git-dir={self._git_dir}"] if self._git_dir else []
        return [self._program, *_SWITCHES, *where, *arguments]

    def start(
        self, *arguments: str, stdin: bool = False, errors: IO[bytes] | None = None
    ) -> subprocess.Popen[bytes]:
        """A process whose output the caller reads; see `watched`.

        What it says on stderr goes to a file, so that no full pipe ever stops it.
        """
        return subprocess.Popen(  # noqa: S603 - a list of arguments, no shell
            self.command(*arguments),
            cwd=self.directory,
            env=surroundings(),
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors or subprocess.DEVNULL,
        )

    def run(self, *arguments: str, accepted: Sequence[int] = (0,)) -> bytes:
        """The whole output. Raises `Inconclusive` beyond a bound, `GitFailed` else."""
        output, whole = self.run_bounded(
            *arguments, max_bytes=self.limits.max_output_bytes, accepted=accepted
        )
        if not whole:
            raise Inconclusive(
                "git says more than is read",
                expected=f"at most {self.limits.max_output_bytes:,} bytes",
                where=f"git {arguments[0]}",
            )
        return output

    def run_bounded(
        self, *arguments: str, max_bytes: int, accepted: Sequence[int] = (0,)
    ) -> tuple[bytes, bool]:
        """The first `max_bytes` of the output, and whether that is all of it."""
        with tempfile.TemporaryFile() as errors:
            process = self.start(*arguments, errors=errors)
            with finished(process), watched(process, self.limits.timeout_s) as watch:
                output = _read(pipe(process.stdout).fileno(), max_bytes + 1)
                if len(output) > max_bytes:
                    return output[:max_bytes], False
                code = process.wait()
            self._check(arguments[0], code, accepted, watch, errors)
        return output, True

    def _check(
        self, what: str, code: int, accepted: Sequence[int], watch: Watch, errors: IO[bytes]
    ) -> None:
        """Raise what a process that did not end well means."""
        if watch.fired:
            raise timed_out(what, self.limits.timeout_s)
        if code not in accepted:
            errors.seek(0)
            raise failed(what, errors.read(_MAX_ERROR_BYTES), self.directory)

    def tokens(self, *arguments: str, max_token_bytes: int) -> Iterator[tuple[bytes, bool]]:
        """The NUL-terminated parts of the output, one after the other, and whether each is whole.

        Memory is bounded by `max_token_bytes`: what a part has beyond is dropped. The clock
        of `timeout_s` starts again whenever git says something.
        """
        with tempfile.TemporaryFile() as errors:
            process = self.start(*arguments, errors=errors)
            with finished(process), watched(process, self.limits.timeout_s) as watch:
                output = pipe(process.stdout).fileno()
                kept = bytearray()
                dropped = False
                while chunk := os.read(output, _CHUNK_BYTES):
                    watch.pause()
                    *ended, rest = chunk.split(b"\0")
                    for part in ended:
                        dropped = _keep(kept, part, max_token_bytes) or dropped
                        yield bytes(kept), not dropped
                        kept.clear()
                        dropped = False
                    dropped = _keep(kept, rest, max_token_bytes) or dropped
                    watch.resume()
                code = process.wait()
            self._check(arguments[0], code, (0,), watch, errors)


def _read(file: int, limit: int) -> bytes:
    """What comes until the end or the limit; no more memory than what came."""
    parts = []
    left = limit
    while left and (part := os.read(file, min(_CHUNK_BYTES, left))):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _keep(kept: bytearray, part: bytes, limit: int) -> bool:
    """Add what fits; whether something did not."""
    room = limit - len(kept)
    kept += part[:room]
    return len(part) > room


def pipe(stream: IO[bytes] | None) -> IO[bytes]:
    """One of a process's pipes, which `Git.start` asked for."""
    if stream is None:
        raise Bug("a process was started without its pipe")
    return stream


class Watch:
    """Kills a process that is silent for too long, so that whoever reads from it goes on."""

    def __init__(self, process: subprocess.Popen[bytes], timeout_s: float) -> None:
        self.fired = False
        self._process = process
        self._timeout_s = timeout_s
        self._timer = self._new_timer()

    def _new_timer(self) -> threading.Timer:
        timer = threading.Timer(self._timeout_s, self._fire)
        timer.daemon = True
        return timer

    def _fire(self) -> None:
        self.fired = True
        self._process.kill()

    def pause(self) -> None:
        self._timer.cancel()

    def resume(self) -> None:
        self._timer = self._new_timer()
        self._timer.start()


@contextlib.contextmanager
def watched(process: subprocess.Popen[bytes], timeout_s: float) -> Iterator[Watch]:
    """The process is killed if the block takes longer than `timeout_s`."""
    watch = Watch(process, timeout_s)
    watch.resume()
    try:
        yield watch
    finally:
        watch.pause()


@contextlib.contextmanager
def finished(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """However the block ends, the process is gone and its pipes are closed."""
    try:
        yield
    finally:
        if process.poll() is None:
            process.kill()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        process.wait()


class GitFailed(InvalidInput):
    """Git refused what it was asked for."""


def timed_out(what: str, timeout_s: float) -> Inconclusive:
    return Inconclusive(
        "git did not answer in time",
        expected=f"an answer within {timeout_s:g} s",
        where=f"git {what}",
        hint="allow it more time, or ask about less",
    )


def failed(what: str, errors: bytes, directory: Path) -> Exception:
    """Git's own words as an error of ours: what was asked is wrong, or not to be had here."""
    text = errors.decode("utf-8", "replace").strip()
    first = next((line for line in text.splitlines() if line.strip()), "no reason given")
    first = re.sub(r"^(?:fatal|error): ", "", first)[:300]
    if "not a git repository" in text:
        return NotFound(
            "this is no git repository", where=directory, hint="name one with --repo PATH"
        )
    if "dubious ownership" in text:
        return Stop(
            "git does not read a repository of another owner",
            where=directory,
            hint="if it is to be trusted: git config --global --add safe.directory PATH",
        )
    unreadable = ("unable to read", "missing blob", "bad object", "lazy fetching", "corrupt")
    if any(words in text for words in unreadable):
        return Inconclusive(
            "an object of the repository cannot be read",
            found=first,
            where=f"git {what}",
            hint="a shallow or partial clone does not have all of it: fetch the rest first",
        )
    return GitFailed("git refuses", found=first, where=f"git {what}")


def program() -> str:
    """Where git is. Raises `Stop` where there is none."""
    found = shutil.which("git")
    if found is None:
        raise Stop("git is not installed", hint="install git 2.32 or newer")
    return found


def surroundings() -> dict[str, str]:
    """The environment of every call: nothing of the user's or the system's configuration.

    Which repositories of other owners the user trusts is taken over (`trusted_places`).
    """
    places = trusted_places()
    environment = {
        "PATH": os.pathsep.join(os.get_exec_path()),
        "HOME": os.devnull,
        "XDG_CONFIG_HOME": os.devnull,
        "LC_ALL": "C.UTF-8",
        "LANGUAGE": "",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_GRAFT_FILE": os.devnull,
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_PAGER": "cat",
        "GIT_TERMINAL_PROMPT": "0",
    }
    if places:
        environment["GIT_CONFIG_COUNT"] = str(len(places))
        for index, place in enumerate(places):
            environment[f"GIT_CONFIG_KEY_{index}"] = "safe.directory"
            environment[f"GIT_CONFIG_VALUE_{index}"] = place
    return environment


@cache
def trusted_places() -> tuple[str, ...]:
    """The user's ``safe.directory``; asked once, outside of any repository."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    try:
        answer = subprocess.run(  # noqa: S603 - a list of arguments, no shell
            [program(), "config", "--global", "-z", "--get-all", "safe.directory"],
            cwd="/",
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=5,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return ()
    found = answer.stdout.decode("utf-8", "surrogateescape") if answer.returncode == 0 else ""
    return tuple(place for place in found.split("\0") if place)[:100]


def check_version(git: Git) -> None:
    """Raises `Stop` for a git that lacks what is relied on."""
    text = git.run("version").decode("utf-8", "replace")
    match = re.search(r"(\d+)\.(\d+)", text)
    if match and (int(match[1]), int(match[2])) < OLDEST_GIT:
        raise Stop(
            "this git is too old",
            expected=".".join(map(str, OLDEST_GIT)),
            found=match[0],
            hint="install a newer git",
        )
