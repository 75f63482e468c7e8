"""From a URL to its store."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from lakecore.base import InvalidInput, ReadOnly
from lakecore.storage._url import Location, check_root, parse_url

if TYPE_CHECKING:
    from lakecore.storage._credentials import CredentialsReference
    from lakecore.storage._port import Store


def open_store(url: str | os.PathLike[str], *, options: Mapping[str, str] | None = None) -> Store:
    """The store at `url`; a directory that is not there yet is made by the first write.

    Args:
        url: a path, ``file://``, ``memory://`` (private, gone when closed),
            ``s3://bucket/prefix``, ``gs://bucket/prefix``, ``az://container/prefix``.
        options: for remote stores, the provider's own settings as obstore and
            deltalake name them (``endpoint``, ``region``, ``access_key_id``, …).
            What is not given is taken from the provider's environment variables.

    Raises:
        InvalidInput: an unknown scheme or option, no bucket, a file in the way.
        ReadOnly: the directory is not there and cannot be made.
    """
    location = parse_url(os.fspath(url))
    if location.scheme in {"file", "memory"} and options:
        raise InvalidInput(
            "a store on this machine takes no options", found=", ".join(sorted(options))
        )
    if location.scheme == "file":
        return _open_local(location)
    if location.scheme == "memory":
        from lakecore.storage._memory import MemoryStore

        return MemoryStore()
    from lakecore.storage._remote_open import open_remote

    return open_remote(location, options or {})


def open_by_reference(
    url: str | os.PathLike[str],
    reference: CredentialsReference,
    environ: Mapping[str, str],
    *,
    options: Mapping[str, str] | None = None,
) -> Store:
    """The store at `url`, with credentials from where `reference` says they are.

    Raises:
        Refused: there are none there.
        InvalidInput: as `open_store`.
    """
    given = dict(options or {})
    if not (reference.variables or reference.profile or reference.file):
        return open_store(url, options=given or None)
    from lakecore.storage._refreshing import RefreshingStore

    return RefreshingStore(
        lambda found: open_store(url, options={**given, **found}), reference, environ
    )


def _open_local(location: Location) -> Store:
    from lakecore.storage._local import LocalStore

    root = Path(os.path.realpath(location.path))
    check_root(str(root))
    try:
        if root.is_dir():
            if not os.access(root, os.R_OK | os.X_OK):
                raise ReadOnly("the directory may not be read", where=root)
            return LocalStore(root)
        above = root
        while not above.exists() and above != above.parent:
            above = above.parent
    except OSError as error:
        raise InvalidInput("not a directory's path", found=error.strerror, where=root) from error
    if not above.is_dir():
        raise InvalidInput(
            "a file is in the way of the store",
            expected="a directory, or a path where one can be made",
            found="a file",
            where=above,
            hint="Choose another directory.",
        )
    if not os.access(above, os.W_OK | os.X_OK):
        raise ReadOnly(
            "the store's directory is not there and cannot be made",
            where=root,
            hint=f"Choose another directory, or make {above} writable.",
        )
    return LocalStore(root)
