"""Objects in a bucket of S3, Google Cloud Storage or Azure, through obstore.

`create` is one PUT that asks the store to refuse a name that is taken (If-None-Match
on S3, a generation of 0 on Google's, If-None-Match on Azure's). Some look-alikes
ignore that: `probe_create_only` finds out.

An upload of more than 8 MiB goes up in parts, and no provider completes parts
create-only: we look for the name just before, which is not the same. Objects that
large have names of their own.

Prefixes and keys are taken as they are written; nothing is escaped or decoded.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, cast
from urllib.parse import quote

import obstore

from lakecore.base import AlreadyExists, NotFound, Stop
from lakecore.storage._paths import check_path, check_prefix, check_range
from lakecore.storage._port import ObjectInfo
from lakecore.storage._remote_errors import OBSTORE_ERRORS, is_beyond_end, remote_error
from lakecore.storage._remote_files import PART_BYTES, UploadParts, open_ranges

if TYPE_CHECKING:
    from obstore import ObjectMeta, WritableFile
    from obstore.store import ObjectStore

    from lakecore.storage._url import Location

_PARTS_AT_ONCE: Final = 4
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class RemoteStore:
    """A `Store` in a bucket. Threads may share it; a forked process needs its own."""

    def __init__(
        self, location: Location, bucket: ObjectStore, table_options: dict[str, str]
    ) -> None:
        self.url = str(location)
        self._bucket = bucket
        self._table_options = table_options
        # Azure has no suffix ranges, and lists folder by folder where its accounts
        # have a hierarchical namespace.
        self._is_azure = location.scheme == "az"

    def create(self, path: str, data: bytes) -> None:
        with self._errors(check_path(path), writing=True):
            obstore.put(self._bucket, path, data, mode="create", use_multipart=False)

    def put(self, path: str, data: bytes) -> None:
        with self._errors(check_path(path), writing=True):
            obstore.put(self._bucket, path, data)

    def upload(self, path: str) -> AbstractContextManager[BinaryIO]:
        return self._upload(check_path(path))

    def get(self, path: str) -> bytes:
        with self._errors(check_path(path)):
            return bytes(obstore.get(self._bucket, path).bytes())

    def get_range(self, path: str, start: int, length: int) -> bytes:
        check_range(path, length)
        with self._errors(check_path(path)):
            try:
                if start >= 0:
                    return self._range(path, start, length)
                if not self._is_azure and length >= -start:
                    suffix = obstore.get(self._bucket, path, options={"range": {"suffix": -start}})
                    return bytes(suffix.bytes())
                return self._range(path, max(0, self._size_bytes(path) + start), length)
            except OBSTORE_ERRORS as error:
                if is_beyond_end(error):
                    return b""
                raise

    def head(self, path: str) -> ObjectInfo:
        with self._errors(check_path(path)):
            return _info(obstore.head(self._bucket, path))

    def exists(self, path: str) -> bool:
        try:
            self.head(path)
        except NotFound:
            return False
        return True

    def open(self, path: str) -> BinaryIO:
        size_bytes = self.head(path).size_bytes
        return open_ranges(lambda start, length: self.get_range(path, start, length), size_bytes)

    def list_objects(self, prefix: str, *, after: str | None = None) -> Iterator[ObjectInfo]:
        found = self._list(check_prefix(prefix), after or "")
        return iter(sorted(found, key=lambda info: info.path)) if self._is_azure else found

    def list_folders(self, prefix: str) -> list[str]:
        check_prefix(prefix)
        with self._errors(prefix):
            found = obstore.list_with_delimiter(self._bucket, prefix=prefix or None)
        return sorted(path.rstrip("/").rpartition("/")[2] for path in found["common_prefixes"])

    def sweep(self) -> int:
        # A bucket shows no upload before its end; what is left of one is for its lifecycle rules.
        return 0

    def delete(self, path: str) -> None:
        try:
            with self._errors(check_path(path), writing=True):
                obstore.delete(self._bucket, path)
        except NotFound as error:
            if error.where != path:  # the bucket is not there
                raise

    def local_path(self, path: str) -> Path | None:
        check_path(path)
        return None

    def table_uri(self, path: str) -> str:
        return f"{quote(self.url, safe=':/')}/{quote(check_path(path))}"

    def table_options(self, path: str = "") -> dict[str, str]:
        return dict(self._table_options)

    def close(self) -> None:
        """Connections close by themselves."""

    def _range(self, path: str, start: int, length: int) -> bytes:
        if length == 0:
            self._size_bytes(path)  # says NotFound, as any other range does
            return b""
        return bytes(obstore.get_range(self._bucket, path, start=start, length=length))

    def _size_bytes(self, path: str) -> int:
        return obstore.head(self._bucket, path)["size"]

    def _list(self, prefix: str, after: str) -> Iterator[ObjectInfo]:
        last = ""
        with self._errors(prefix):
            # No offset where obstore would normalise it or the store cannot use it.
            offset = after if after and not self._is_azure and not after.endswith("/") else None
            for page in obstore.list(self._bucket, prefix or None, offset=offset):
                for meta in page:
                    info = _info(meta)
                    if not self._is_azure and info.path <= last:
                        raise Stop(
                            "the object store does not list in order",
                            expected=f"a path after {last!r}",
                            found=repr(info.path),
                            where=self.url,
                            hint="Use a bucket that lists by name (not an S3 directory bucket).",
                        )
                    last = info.path
                    if info.path > after and info.path.startswith(prefix):
                        yield info

    @contextmanager
    def _upload(self, path: str) -> Iterator[BinaryIO]:
        sink = UploadParts(
            lambda data: self.create(path, data),
            lambda: _Parts(self, path, self._open_writer(path)),
        )
        try:
            yield cast(BinaryIO, sink)
            sink.finish()
        except Exception as error:
            sink.abort()
            if sink.fault is not None and error is not sink.fault:
                raise sink.fault from error
            raise
        finally:
            sink.abort()
            sink.close()

    def _open_writer(self, path: str) -> WritableFile:
        with self._errors(path, writing=True):
            return obstore.open_writer(
                self._bucket, path, buffer_size=PART_BYTES, max_concurrency=_PARTS_AT_ONCE
            )

    @contextmanager
    def _errors(self, path: str, *, writing: bool = False) -> Iterator[None]:
        try:
            yield
        except OBSTORE_ERRORS as error:
            # Not chained: obstore's text may hold a signed URL.
            raise remote_error(error, path=path, url=self.url, writing=writing) from None


class _Parts:
    """A large upload, through obstore's writer."""

    def __init__(self, store: RemoteStore, path: str, writer: WritableFile) -> None:
        self._store = store
        self._path = path
        self._writer = writer

    def write(self, data: bytes, /) -> None:
        with self._store._errors(self._path, writing=True):
            self._writer.write(data)

    def complete(self) -> None:
        if self._store.exists(self._path):
            raise AlreadyExists("the name is taken", where=self._path)
        with self._store._errors(self._path, writing=True):
            self._writer.close()

    def abort(self) -> None:
        # The writer takes its parts back when its block raises, and only then.
        with self._store._errors(self._path, writing=True):
            self._writer.__exit__(InterruptedError, InterruptedError(), None)


def _info(meta: ObjectMeta) -> ObjectInfo:
    modified_us = (meta["last_modified"] - _EPOCH) // _MICROSECOND
    return ObjectInfo(meta["path"], meta["size"], modified_us)
