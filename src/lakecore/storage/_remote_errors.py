"""What an object store's answer means to a caller.

obstore tells apart only a few errors by class; the rest is in its text: the HTTP
status, the provider's own code, how the connection failed. Its text may also hold
a signed URL, so it is read here, and never shown or chained.
"""

from __future__ import annotations

import re
from typing import Final

from obstore import exceptions

from lakecore.base import (
    AlreadyExists,
    Bug,
    InvalidInput,
    LakecoreError,
    NotFound,
    OutOfSpace,
    ReadOnly,
    Refused,
    Unavailable,
)

OBSTORE_ERRORS: Final = (exceptions.BaseError, OSError)
"""Everything that obstore raises; what it does not find is a FileNotFoundError."""

_STATUS: Final = re.compile(r"status code: ([0-9]{3})")
_CODE: Final = re.compile(r"<Code>([A-Za-z]{1,80})</Code>")
_NO_BUCKET: Final = ("NoSuchBucket", "ContainerNotFound", "specified container does not exist")
# The addresses that cloud machines ask for their keys, and obstore's words for asking.
_CREDENTIALS: Final = ("169.254.169.254", "169.254.170.2", "metadata.google", "token request")
_KEYS_HINT: Final = (
    "Give keys as options or in the provider's environment variables "
    "(AWS_ACCESS_KEY_ID …, GOOGLE_APPLICATION_CREDENTIALS, AZURE_STORAGE_ACCOUNT_NAME …)."
)


def remote_error(error: Exception, *, path: str, url: str, writing: bool) -> LakecoreError:
    """The error of an operation on `path` in the bucket at `url`."""
    text = str(error)
    if any(sign in text for sign in _NO_BUCKET):
        hint = "Create the bucket or container, or check the URL."
        return NotFound("no such bucket", where=url, hint=hint)
    if isinstance(error, exceptions.AlreadyExistsError | exceptions.PreconditionError):
        return AlreadyExists("the name is taken", where=path)
    if isinstance(error, FileNotFoundError):
        return NotFound("no such object", where=path)
    if isinstance(error, exceptions.JoinError):
        return Bug("obstore lost one of its tasks", where=path)
    if isinstance(error, exceptions.InvalidPathError | exceptions.NotSupportedError):
        return InvalidInput("the object store takes no such request", where=path)
    if any(sign in text for sign in _CREDENTIALS):
        return Refused("no keys for the bucket were found", where=url, hint=_KEYS_HINT)
    return _by_status(error, text, path, url, writing)


def _by_status(error: Exception, text: str, path: str, url: str, writing: bool) -> LakecoreError:
    status = _status(text)
    found = _found(status, text)
    if isinstance(error, exceptions.UnauthenticatedError) or status == 401:
        return Refused("the bucket does not know our keys", found=found, where=url, hint=_KEYS_HINT)
    if isinstance(error, exceptions.PermissionDeniedError) or status == 403:
        if writing:
            hint = "Check the rights of these keys to create, replace and delete objects."
            return ReadOnly("the bucket may not be written", found=found, where=url, hint=hint)
        hint = "Check the keys, and their rights to read and to list."
        return Refused("the bucket may not be read", found=found, where=url, hint=hint)
    if status == 507:
        return OutOfSpace("the object store is full", found=found, where=url)
    if "BadScheme" in text:
        hint = "Set allow_http to true if the connection need not be private."
        return InvalidInput("the endpoint is not https", where=url, hint=hint)
    if status is None or status in {408, 409, 425, 429} or status >= 500:
        hint = "Check the network and the endpoint, and try again."
        return Unavailable("the object store does not answer", found=found, where=url, hint=hint)
    hint = "Check the endpoint, the region and the keys."
    return Refused("the object store refuses the request", found=found, where=path, hint=hint)


def is_beyond_end(error: Exception) -> bool:
    """Whether the object is there, but has no bytes in the range that was asked for."""
    text = str(error)
    return _status(text) == 416 or "NotPartial" in text or "StartTooLarge" in text


def _status(text: str) -> int | None:
    match = _STATUS.search(text)
    return int(match.group(1)) if match else None


def _found(status: int | None, text: str) -> str:
    code = _CODE.search(text)
    parts = [f"HTTP {status}" if status else "no answer", code.group(1) if code else ""]
    return " ".join(part for part in parts if part)
