"""Reading blobs through one git process that stays, so that a file costs a fraction of a start."""

from __future__ import annotations

import subprocess
import threading
from typing import Final

from lakecore.base import Inconclusive
from lakecore.code._git import Git, finished, pipe, timed_out, watched

_MISSING: Final = b"missing"


class Blobs:
    """``git cat-file --batch``, asked for one object at a time; safe to use from threads."""

    def __init__(self, git: Git) -> None:
        self._git = git
        self._lock = threading.Lock()
        self._sizes = _Batch(git, "--batch-check")
        self._contents = _Batch(git, "--batch")

    def read(self, blob: str, *, max_bytes: int) -> bytes | None:
        """The bytes of a blob; None for one that is larger than `max_bytes`.

        Raises `Inconclusive` where the clone does not have it.
        """
        with self._lock:
            size = self._sizes.ask(blob)
            if size > max_bytes:
                return None
            return self._contents.ask_bytes(blob)

    def close(self) -> None:
        with self._lock:
            self._sizes.close()
            self._contents.close()


class _Batch:
    def __init__(self, git: Git, mode: str) -> None:
        self._git = git
        self._mode = mode
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, blob: str) -> int:
        """The size of an object."""
        return self._ask(blob, with_bytes=False)[0]

    def ask_bytes(self, blob: str) -> bytes:
        return self._ask(blob, with_bytes=True)[1]

    def _ask(self, blob: str, *, with_bytes: bool) -> tuple[int, bytes]:
        if self._process is None or self._process.poll() is not None:
            self.close()
            self._process = self._git.start("cat-file", self._mode, stdin=True)
        process = self._process
        questions, answers = pipe(process.stdin), pipe(process.stdout)
        data = b""
        with watched(process, self._git.limits.timeout_s) as watch:
            try:
                questions.write(blob.encode() + b"\n")
                questions.flush()
                header = answers.readline()
                if with_bytes and not header.rstrip().endswith(_MISSING):
                    data = answers.read(int(header.split()[-1]))
                    answers.read(1)
            except (BrokenPipeError, ValueError, IndexError):
                header = b""
        if watch.fired:
            self.close()
            raise timed_out("cat-file", self._git.limits.timeout_s)
        if not header or header.rstrip().endswith(_MISSING):
            self.close()
            raise Inconclusive(
                "an object of the repository is not there",
                where=f"blob {blob}",
                hint="a partial clone does not have all of it: fetch the rest first",
            )
        return int(header.split()[-1]), data

    def close(self) -> None:
        if self._process is not None:
            with finished(self._process):
                pass
            self._process = None
