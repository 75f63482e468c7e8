"""What an operating system's error means to a caller."""

from __future__ import annotations

import errno
from typing import Final

from lakecore.base import (
    AlreadyExists,
    InvalidInput,
    LakecoreError,
    NotFound,
    OutOfSpace,
    ReadOnly,
    Stop,
    Unavailable,
)

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_LOCKED: Final = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})
# Neither a folder nor a symbolic link in the way of a name is an object of ours.
_ABSENT: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP})
_PASSING: Final = frozenset(
    {
        errno.EAGAIN,
        errno.EBUSY,
        errno.EINTR,
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOMEM,
        errno.ESTALE,
        errno.ETIMEDOUT,
    }
)


def read_error(error: OSError, path: str, root: str) -> LakecoreError:
    """The error of an operation that reads `path` in the store at `root`."""
    if error.errno in _ABSENT:
        return NotFound("no such object", where=path)
    return _common(error, path, root)


def write_error(error: OSError, path: str, root: str) -> LakecoreError:
    """The error of an operation that writes `path` in the store at `root`."""
    if error.errno in {errno.EEXIST, errno.EISDIR, errno.ENOTEMPTY}:
        return AlreadyExists("the name is taken", where=path)
    if error.errno == errno.ENOTDIR:
        return InvalidInput(
            "an object is in the way of a folder",
            expected="folders above the last name",
            where=path,
            hint="Choose another path, or delete the object that has the folder's name.",
        )
    if error.errno == errno.ENAMETOOLONG:
        return InvalidInput("the file system takes only shorter names", where=path)
    return _common(error, path, root)


def _common(error: OSError, path: str, root: str) -> LakecoreError:
    if error.errno in _FULL:
        return OutOfSpace(
            "no space left for an object",
            where=path,
            hint=f"Free space or raise the quota of the disk that holds {root}.",
        )
    if error.errno in _LOCKED:
        return ReadOnly(
            "the store does not let us do this",
            found=error.strerror,
            where=path,
            hint=f"Check the owner and mode of {root}, and that its disk is not mounted read-only.",
        )
    if error.errno == errno.ENOENT:
        return NotFound("no such object", where=path)
    if error.errno in _PASSING:
        return Unavailable(
            "the operating system has no room for this now", found=error.strerror, where=path
        )
    return Stop(
        "the disk reports an error",
        found=error.strerror or error,
        where=path,
        hint=f"Check the disk that holds {root} before going on.",
    )
