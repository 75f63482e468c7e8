"""Objects as files of a local disk: durable on return, create-only by hard link.

The life of an object:

1. a temporary file ``.tmp-…`` in the folder of the object is written and fsynced;
2. it is linked to its final name, which fails if the name is taken: *this is the
   commit point*, and whoever wins it, wins;
3. the temporary name is removed and the folder fsynced; then the call returns.

A crash before 2 leaves a temporary file, which is never listed and which `sweep`
removes; a crash between 2 and 3 leaves the object, whole, as if the answer had been
lost on its way. A folder that is used for the first time is made, and the folder
above it is fsynced, even when another process made it: that one may not have come
as far.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

from lakecore.base import AlreadyExists, NotFound, Stop, Unavailable
from lakecore.storage._local_files import (
    UploadFile,
    fed,
    make_root,
    open_regular,
    read_at,
    sync_folder,
    write_all,
)
from lakecore.storage._local_list import has_object, sweep_folder, walk
from lakecore.storage._oserrors import read_error, write_error
from lakecore.storage._paths import TEMP_PREFIX, check_path, check_prefix, check_range
from lakecore.storage._port import ObjectInfo

_MAX_KNOWN_FOLDERS: Final = 65_536
_NO_HARD_LINKS: Final = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EXDEV})
_SWEEP_AGE_S: Final = 86_400.0


class LocalStore:
    """A `Store` in a directory, which is made by the first write.

    A name is an object or a folder, never both, as on any disk. Symbolic links
    below the root are neither listed nor followed as objects.
    """

    def __init__(self, root: Path) -> None:
        self._root = os.path.realpath(root)
        self.url = Path(self._root).as_uri()
        # Folders that this process has seen on the disk, and whose name is durable.
        self._known: set[str] = set()
        self._had_root = False

    def create(self, path: str, data: bytes) -> None:
        check_path(path)
        try:
            temp = self._write_temp(path, data)
            try:
                self._publish(temp, path)
            except BaseException:
                _remove(temp)
                raise
        except OSError as error:
            raise write_error(error, path, self._root) from error

    def put(self, path: str, data: bytes) -> None:
        check_path(path)
        try:
            temp = self._write_temp(path, data)
            try:
                os.rename(temp, self._file(path))
            except BaseException:
                _remove(temp)
                raise
            sync_folder(os.path.dirname(temp))
        except OSError as error:
            raise write_error(error, path, self._root) from error

    def upload(self, path: str) -> AbstractContextManager[BinaryIO]:
        return self._upload(check_path(path))

    def get(self, path: str) -> bytes:
        try:
            with open_regular(self._file(check_path(path)), buffer_bytes=0) as file:
                return file.read()
        except OSError as error:
            raise read_error(error, path, self._root) from error

    def get_range(self, path: str, start: int, length: int) -> bytes:
        check_range(path, length)
        try:
            with open_regular(self._file(check_path(path)), buffer_bytes=0) as file:
                return read_at(file.fileno(), start, length)
        except OSError as error:
            raise read_error(error, path, self._root) from error

    def head(self, path: str) -> ObjectInfo:
        try:
            status = os.lstat(self._file(check_path(path)))
        except OSError as error:
            raise read_error(error, path, self._root) from error
        if not stat.S_ISREG(status.st_mode):
            raise NotFound("no such object", where=path)
        return ObjectInfo(path, status.st_size, status.st_mtime_ns // 1_000)

    def exists(self, path: str) -> bool:
        try:
            self.head(path)
        except NotFound:
            return False
        return True

    def open(self, path: str) -> BinaryIO:
        try:
            return open_regular(self._file(check_path(path)))
        except OSError as error:
            raise read_error(error, path, self._root) from error

    def list_objects(self, prefix: str, *, after: str | None = None) -> Iterator[ObjectInfo]:
        folder = self._file(check_prefix(prefix))
        return self._listed(walk(folder, prefix, after or ""), prefix)

    def list_folders(self, prefix: str) -> list[str]:
        folder = self._file(check_prefix(prefix))
        try:
            with os.scandir(folder) as entries:
                folders = [e.name for e in entries if e.is_dir(follow_symlinks=False)]
            # An object store has no empty folders, so neither do we.
            return sorted(name for name in folders if has_object(os.path.join(folder, name)))
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise read_error(error, prefix, self._root) from error

    def delete(self, path: str) -> None:
        file = self._file(check_path(path))
        try:
            os.unlink(file)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return
        except OSError as error:
            # A read-only disk complains before it looks; macOS says EPERM of a folder.
            if os.path.lexists(file) and not os.path.isdir(file):
                raise write_error(error, path, self._root) from error

    def local_path(self, path: str) -> Path | None:
        return Path(self._file(check_path(path)))

    def table_uri(self, path: str) -> str:
        return self._file(check_path(path))

    def table_options(self, path: str = "") -> dict[str, str]:
        return {}

    def sweep(self, *, older_than_s: float = _SWEEP_AGE_S) -> int:
        """Remove what uploads of dead processes left; return how many files went.

        Only temporary files that nobody has written to for `older_than_s` seconds.
        """
        try:
            return sweep_folder(self._root, time.time() - older_than_s)
        except OSError as error:
            raise write_error(error, "", self._root) from error

    def close(self) -> None:
        """Nothing is held."""

    def _file(self, path: str) -> str:
        return f"{self._root}/{path}"

    def _listed(self, found: Iterator[ObjectInfo], prefix: str) -> Iterator[ObjectInfo]:
        try:
            yield from found
        except OSError as error:
            raise read_error(error, prefix, self._root) from error

    @contextmanager
    def _upload(self, path: str) -> Iterator[BinaryIO]:
        try:
            fd, temp = self._open_temp(path)
        except OSError as error:
            raise write_error(error, path, self._root) from error
        try:
            # The writer has a descriptor of its own: closing it, as some libraries
            # do, must not take ours away.
            sink = UploadFile(os.dup(fd), lambda error: write_error(error, path, self._root))
            with fed(sink) as file:
                yield file
            try:
                os.fsync(fd)
                self._publish(temp, path)
            except OSError as error:
                raise write_error(error, path, self._root) from error
        except BaseException:
            _remove(temp)
            raise
        finally:
            os.close(fd)

    def _write_temp(self, path: str, data: bytes) -> str:
        """Write `data` durably beside `path`; return the temporary file's name."""
        fd, temp = self._open_temp(path)
        try:
            write_all(fd, data)
            os.fsync(fd)
        except BaseException:
            _remove(temp)
            raise
        finally:
            os.close(fd)
        return temp

    def _open_temp(self, path: str) -> tuple[int, str]:
        folder = path.rpartition("/")[0]
        name = f"{TEMP_PREFIX}{os.getpid()}-{secrets.token_hex(8)}"
        temp = self._file(f"{folder}/{name}" if folder else name)
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
        self._make_folder(folder)
        try:
            return os.open(temp, flags, 0o666), temp
        except FileNotFoundError:
            # Somebody removed the folder since we saw it.
            self._known.clear()
            self._make_folder(folder)
            return os.open(temp, flags, 0o666), temp

    def _publish(self, temp: str, path: str) -> None:
        """Link the finished file to its name, or say that the name is taken; durably, both."""
        try:
            os.link(temp, self._file(path))  # the commit point
        except FileExistsError:
            # The caller may act on the winner's object, so it must outlive a power
            # cut, even if the winner has not come as far as syncing the folder.
            sync_folder(os.path.dirname(temp))
            raise AlreadyExists("the name is taken", where=path) from None
        except OSError as error:
            if error.errno in _NO_HARD_LINKS:
                raise Stop(
                    "this disk cannot create an object atomically",
                    expected="a file system with hard links (ext4, xfs, btrfs, zfs, apfs, nfs)",
                    found=error.strerror,
                    where=self._root,
                    hint="Put the lake on another file system, or on an object store.",
                ) from error
            raise
        _remove(temp)
        sync_folder(os.path.dirname(temp))

    def _make_folder(self, folder: str) -> None:
        if folder in self._known:
            return
        if folder:
            self._make_folder(folder.rpartition("/")[0])
            with suppress(FileExistsError):
                os.mkdir(self._file(folder))
            sync_folder(os.path.dirname(self._file(folder)))
        elif self._had_root and not os.path.isdir(self._root):
            # What were written to the place of a disk that is not mounted any more would be lost.
            raise Unavailable("the store's directory is not there any more", where=self._root)
        else:
            make_root(self._root)
            self._had_root = True
        if len(self._known) >= _MAX_KNOWN_FOLDERS:
            self._known.clear()
        self._known.add(folder)


def _remove(temp: str) -> None:
    # A temporary file that stays is swept later: no reason to fail a write.
    with suppress(OSError):
        os.unlink(temp)
