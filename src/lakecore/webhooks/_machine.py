"""The key of this machine, and the secrets that are found by their references.

``webhooks-key.json`` in the state directory, for its owner's eyes (0600):

    {"format": 1, "key": base64 of 32 random bytes}

The secret of every webhook of this machine is derived from it, so no secret is written down
anywhere. Its fingerprint is in the documents of the webhooks that this machine delivers. A lake
that is restored from a backup has another state directory, and delivers nothing.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lakecore.base import CorruptData, NotFound, Refused, Unavailable, UnsupportedFormat
from lakecore.webhooks._sign import SECRET_BYTES, derived, parse_secret

if TYPE_CHECKING:
    from lakecore.webhooks._webhook import Webhook

FILE: Final = "webhooks-key.json"
FORMAT: Final = 1
_MAX_FILE_BYTES: Final = 4_096
_DOMAIN: Final = b"lakecore webhooks machine\0"


class Machine:
    """What this machine knows. Threads may share it.

    Args:
        state_dir: of this machine, for one lake.
        variable: the value of an environment variable, or None.
        folder: where ``file:`` secrets are; None: nowhere.
    """

    def __init__(
        self,
        state_dir: Path,
        *,
        variable: Callable[[str], str | None] = lambda name: None,
        folder: Path | None = None,
    ) -> None:
        self.path = state_dir / FILE
        self._variable = variable
        self._folder = folder
        self._key: bytes | None = None

    def fingerprint(self) -> str | None:
        """Of this machine's key; None where it has none: then it delivers nothing."""
        key = self._read()
        return None if key is None else _fingerprint(key)

    def make(self) -> str:
        """The fingerprint of this machine's key, which is made where there is none."""
        key = self._read()
        if key is None:
            document = {
                "format": FORMAT,
                "key": base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode(),
            }
            _write_once(self.path, json.dumps(document).encode())
            # Another process may have been first: what lies there is the key.
            key = self._read()
        if key is None:
            raise Unavailable("the key of this machine cannot be made", where=self.path)
        return _fingerprint(key)

    def signing(self, webhook: Webhook, now_us: int) -> list[bytes]:
        """The secrets that sign a message now: two, within the overlap of a rotation.

        Raises:
            NotFound: the secret is not on this machine.
            InvalidInput: what is there is no secret.
        """
        found = [self.secret(webhook.id, webhook.secret)]
        is_overlap = webhook.previous_until_us is not None and now_us < webhook.previous_until_us
        if webhook.previous is not None and is_overlap:
            # The old one may be taken away before the overlap ends.
            with suppress(NotFound):
                found.append(self.secret(webhook.id, webhook.previous))
        return found

    def secret(self, webhook_id: str, reference: str) -> bytes:
        """The secret that a reference stands for; see `signing` for what it raises."""
        kind, _, name = reference.partition(":")
        if kind == "machine":
            key = self._read()
            if key is None:
                raise NotFound("this machine has no key for webhooks", where=self.path)
            return derived(key, webhook_id, int(name))
        text = self._variable(name) if kind == "env" else self._file(name)
        if text is None:
            raise NotFound("the signing secret is not on this machine", where=reference)
        return parse_secret(text, where=reference)

    def _file(self, name: str) -> str | None:
        if self._folder is None:
            return None
        try:
            with (self._folder / name).open("rb") as file:
                return file.read(_MAX_FILE_BYTES).decode("ascii", "replace")
        except OSError:
            return None

    def _read(self) -> bytes | None:
        if self._key is not None:
            return self._key
        try:
            with self.path.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                data = file.read(_MAX_FILE_BYTES)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Unavailable(
                "the key of this machine cannot be read", where=self.path, found=error.strerror
            ) from error
        if mode & 0o077:
            raise Refused(
                "others may read this machine's key for webhooks",
                where=self.path,
                hint="take the rights away, and rotate the webhooks' secrets",
            )
        self._key = _parsed(data, self.path)
        return self._key


def _parsed(data: bytes, path: Path) -> bytes:
    try:
        document = json.loads(data)
        found = document["format"]
        key = base64.b64decode(document["key"], validate=True)
    except (ValueError, KeyError, TypeError):
        # Without what was found: it is a key.
        raise CorruptData("the key of this machine is not readable", where=path) from None
    if found != FORMAT:
        raise UnsupportedFormat("a key for webhooks of another format", found=found, where=path)
    if len(key) != SECRET_BYTES:
        raise CorruptData("the key of this machine is not whole", where=path)
    return key


def _fingerprint(key: bytes) -> str:
    return hashlib.sha256(_DOMAIN + key).hexdigest()[:16]


def _write_once(path: Path, data: bytes) -> None:
    """Whole or not at all, durable, and never over one that is there."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(temporary, path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise Unavailable(
            "the key of this machine cannot be written", where=path, found=error.strerror
        ) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
