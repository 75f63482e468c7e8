"""From a bucket's URL and options to its store."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from obstore import exceptions
from obstore.store import AzureStore, GCSStore, S3Store

from lakecore.base import InvalidInput
from lakecore.storage._remote import RemoteStore

if TYPE_CHECKING:
    from obstore.store import ObjectStore

    from lakecore.storage._url import Location

MAX_RETRIES: Final = 10
RETRY_TIMEOUT_S: Final = 60

_CLASSES: Final[dict[str, Any]] = {"s3": S3Store, "gs": GCSStore, "az": AzureStore}
_PREFIXES: Final = {"s3": "aws_", "gs": "google_", "az": "azure_"}
# Settings of the HTTP client: obstore takes them apart from the provider's.
_CLIENT_OPTIONS: Final = frozenset(
    {
        "allow_http",
        "allow_invalid_certificates",
        "connect_timeout",
        "pool_idle_timeout",
        "proxy_ca_certificate",
        "proxy_excludes",
        "proxy_url",
        "read_timeout",
        "root_certificate",
        "timeout",
        "user_agent",
    }
)


def open_remote(location: Location, options: Mapping[str, str]) -> RemoteStore:
    """The store at `location`. Nothing is asked of the bucket yet.

    Args:
        location: a bucket, or a container, and a prefix in it.
        options: names as obstore and deltalake spell them, in upper or lower case;
            and ours: ``max_retries`` (10) and ``retry_timeout`` (60, in seconds).

    Raises:
        InvalidInput: an option that is not known, or one that is missing.
    """
    config = {name.lower(): value for name, value in options.items()}
    max_retries = _number(config, "max_retries", MAX_RETRIES)
    retry_timeout_s = _number(config, "retry_timeout", RETRY_TIMEOUT_S)
    table_options = {
        **config,
        "max_retries": str(max_retries),
        "retry_timeout": f"{retry_timeout_s}s",
    }
    if location.scheme == "s3":
        table_options.setdefault("aws_conditional_put", "etag")
    bucket = _open_bucket(location, config, max_retries, retry_timeout_s)
    return RemoteStore(location, bucket, table_options)


def _open_bucket(
    location: Location, config: dict[str, str], max_retries: int, retry_timeout_s: int
) -> ObjectStore:
    client = {}
    for name in list(config):
        plain = name.removeprefix(_PREFIXES[location.scheme])
        if plain in _CLIENT_OPTIONS:
            client[plain] = config.pop(name)
    try:
        store: ObjectStore = _CLASSES[location.scheme](
            location.bucket,
            prefix=location.prefix or None,
            config=config,
            client_options=client or None,
            retry_config={
                "max_retries": max_retries,
                "retry_timeout": timedelta(seconds=retry_timeout_s),
            },
        )
    except exceptions.UnknownConfigurationKeyError:
        raise InvalidInput(
            "an option that the object store does not know",
            expected="options of obstore's store of this provider",
            found=f"one of {', '.join(sorted(config))}",
            where=str(location),
        ) from None
    except (exceptions.BaseError, ValueError) as error:
        # The first line names the setting; what follows may repeat its value.
        missing_account = "Account must be specified" in str(error)
        raise InvalidInput(
            "the object store cannot be set up with these options",
            expected="an account" if missing_account else "values as obstore takes them",
            found=f"options {', '.join(sorted(config)) or '(none)'}",
            where=str(location),
            hint="Set account_name, or AZURE_STORAGE_ACCOUNT_NAME." if missing_account else None,
        ) from None
    return store


def _number(config: dict[str, str], name: str, default: int) -> int:
    text = config.pop(name, str(default)).removesuffix("s")
    if not text.isdecimal():
        raise InvalidInput("an option is a number", expected=f"{name} in digits", found=text)
    return int(text)
