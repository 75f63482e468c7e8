"""Small files in the state directory: whole or not there, and durable on return."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from lakecore.base import AlreadyExists, CorruptData, ReadOnly, Unavailable
from lakecore.journal._sqlite import make_directory

_MAX_BYTES = 1 << 20


def read_private(path: Path) -> bytes | None:
    """The file's bytes, or None when there is none.

    Raises:
        Unavailable: it cannot be read.
        CorruptData: it is larger than any such file.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Unavailable("a file of the state directory cannot be read", where=path) from error
    if len(data) > _MAX_BYTES:
        raise CorruptData("a file of the state directory is too large", where=path)
    return data


def write_private(path: Path, data: bytes, *, replace: bool) -> None:
    """Write a file that its owner alone can read, beside its place first.

    Raises:
        AlreadyExists: it is there, and is not to be replaced.
        ReadOnly, Unavailable: the directory cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        make_directory(path.parent)
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            temporary.replace(path)
        else:
            os.link(temporary, path)
        _sync_directory(path.parent)
    except FileExistsError:
        raise AlreadyExists("the file is there", where=path) from None
    except PermissionError as error:
        raise ReadOnly("the state directory cannot be written", where=path) from error
    except OSError as error:
        raise Unavailable(
            "a file of the state directory cannot be written", found=error.strerror, where=path
        ) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _sync_directory(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
