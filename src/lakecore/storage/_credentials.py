"""Credentials by reference: where they are, and what is there now. Never what they are.

A reference is read again when what it points at has changed, or is about to expire, so a
token that another program renews in a file is used without a restart. No error, no text form
of anything here has a credential in it.
"""

from __future__ import annotations

import configparser
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from lakecore.base import InvalidInput, Refused

MAX_FILE_BYTES: Final = 1 << 16
_MEMBERS: Final = {
    "AccessKeyId": "access_key_id",
    "SecretAccessKey": "secret_access_key",
    "SessionToken": "session_token",
}
"""Of the JSON that AWS's ``credential_process`` gives."""
_PROFILE: Final = {
    "aws_access_key_id": "access_key_id",
    "aws_secret_access_key": "secret_access_key",
    "aws_session_token": "session_token",
}


@dataclass(frozen=True, slots=True)
class Found:
    """What a reference led to: options of the store, and when they end, if that is said."""

    options: Mapping[str, str] = field(repr=False)
    expires_at: datetime | None = None

    @property
    def fingerprint(self) -> str:
        """Tells one set from another, and nothing else of it."""
        text = json.dumps(sorted(self.options.items()))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def is_ending(self, now: datetime, margin_s: float) -> bool:
        """Whether they have expired or will within `margin_s`."""
        return self.expires_at is not None and self.expires_at <= now + timedelta(seconds=margin_s)


@dataclass(frozen=True, slots=True)
class CredentialsReference:
    """Where a bucket's credentials are; at most one of the three is set.

    Attributes:
        variables: of each option the environment variable that has it.
        profile: of the shared credentials file of AWS's tools.
        file: JSON as AWS's ``credential_process`` gives it, or of the store's own options;
            ``Expiration`` says when it ends.
    """

    variables: Mapping[str, str] = field(default_factory=dict)
    profile: str = ""
    file: str = ""

    def read(self, environ: Mapping[str, str]) -> Found:
        """What is there now.

        Raises:
            Refused: nothing is there, or it does not read.
        """
        if self.file:
            return _from_json(Path(self.file).expanduser())
        if self.profile:
            return Found(_from_profile(self.profile, environ))
        missing = [name for name in self.variables.values() if not environ.get(name)]
        # A session token may be missing where keys are for good.
        missing = [n for n in missing if n != self.variables.get("session_token")]
        if missing:
            raise Refused(
                "credentials are not where they should be",
                expected=f"environment variables {', '.join(sorted(missing))}",
                hint="set them for the process that runs Lakecore",
            )
        return Found(
            {option: text for option, name in self.variables.items() if (text := environ.get(name))}
        )

    def describe(self) -> str:
        """Where they are, in words."""
        if self.file:
            return f"file {self.file}"
        if self.profile:
            return f"profile {self.profile}"
        if self.variables:
            return "environment " + ", ".join(sorted(self.variables.values()))
        return "the provider's own environment"

    def check(self, where: str) -> None:
        """Raises `InvalidInput` when more than one place is named."""
        named = [bool(self.variables), bool(self.profile), bool(self.file)]
        if sum(named) > 1:
            raise InvalidInput(
                "a bucket's credentials are in one place",
                expected="one of credentials_env, profile, credentials_file",
                where=where,
            )


def _from_json(path: Path) -> Found:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise _unreadable(path, f"more than {MAX_FILE_BYTES:,} bytes")
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise _unreadable(path, error.strerror or "cannot be read") from None
    except ValueError:
        raise _unreadable(path, "not JSON") from None
    if not isinstance(content, dict):
        raise _unreadable(path, "no JSON object")
    options: dict[str, str] = {
        _MEMBERS.get(str(name), str(name)): text
        for name, text in content.items()
        if isinstance(text, str) and name != "Expiration"
    }
    return Found(options, _expiry(content, path))


def _expiry(content: Mapping[str, Any], path: Path) -> datetime | None:
    text = content.get("Expiration")
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        raise _unreadable(path, "an Expiration that is no time") from None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _from_profile(profile: str, environ: Mapping[str, str]) -> dict[str, str]:
    named = environ.get("AWS_SHARED_CREDENTIALS_FILE")
    path = Path(named) if named else Path.home() / ".aws" / "credentials"
    # No interpolation: a secret may have a percent sign.
    parser = configparser.ConfigParser(interpolation=None)
    try:
        with path.open(encoding="utf-8") as file:
            parser.read_file(file)
    except OSError as error:
        raise _unreadable(path, error.strerror or "cannot be read") from None
    except (configparser.Error, UnicodeDecodeError):
        raise _unreadable(path, "not a file of profiles") from None
    if not parser.has_section(profile):
        raise _unreadable(path, f"no profile {profile}")
    section = parser[profile]
    return {ours: section[theirs] for theirs, ours in _PROFILE.items() if section.get(theirs)}


def _unreadable(path: Path, found: str) -> Refused:
    return Refused(
        "credentials are not where they should be",
        found=found,
        where=os.fspath(path),
        hint="make the file, or name another one in [[storage.bucket]]",
    )
