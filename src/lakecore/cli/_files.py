"""Results as files: whole, or not there."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from pathlib import Path

import click


def write_text(file: Path | None, text: str) -> None:
    """Text into a file, whole, or to standard output."""
    if file is None:
        click.echo(text, nl=False)
    else:
        write_whole(file, text.encode("utf-8", "backslashreplace"))


def write_whole(file: Path, data: bytes) -> None:
    """Write a file beside its place and put it there; what is no plain file is written into."""
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISREG(file.lstat().st_mode):
            file.write_bytes(data)  # a pipe, a device, a link: as the user named it
            return
    handle, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    try:
        with os.fdopen(handle, "wb") as made:
            made.write(data)
        mask = os.umask(0)
        os.umask(mask)
        Path(name).chmod(0o666 & ~mask)
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
