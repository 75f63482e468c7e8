"""Progress in bytes: a port, silence, and a bar on a terminal."""

from __future__ import annotations

import sys
from typing import Protocol, TextIO


class Progress(Protocol):
    """Told how far a file has been read. Calls come from one thread."""

    def start(self, name: str, total_bytes: int) -> None: ...

    def advance(self, size_bytes: int) -> None: ...

    def finish(self) -> None: ...


class NoProgress:
    """Says nothing."""

    def start(self, name: str, total_bytes: int) -> None:
        pass

    def advance(self, size_bytes: int) -> None:
        pass

    def finish(self) -> None:
        pass


class BarProgress:
    """A bar with speed and remaining time on `stream`."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )
        from rich.progress import Progress as Bar

        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=Console(file=stream),
            transient=True,
        )
        self._task = self._bar.add_task("", total=None, visible=False)
        self._total_bytes = 0
        self._done_bytes = 0

    def start(self, name: str, total_bytes: int) -> None:
        self._total_bytes, self._done_bytes = total_bytes, 0
        self._bar.reset(self._task, description=name, total=total_bytes, visible=True)
        self._bar.start()

    def advance(self, size_bytes: int) -> None:
        # Bytes of decoded values approximate bytes of the file: never beyond its end.
        self._done_bytes = min(self._done_bytes + size_bytes, self._total_bytes)
        self._bar.update(self._task, completed=self._done_bytes)

    def finish(self) -> None:
        self._bar.stop()


def terminal_progress(stream: TextIO | None = None) -> Progress:
    """A bar when `stream` (default: stderr) is a terminal, else silence."""
    stream = stream or sys.stderr
    return BarProgress(stream) if stream.isatty() else NoProgress()
