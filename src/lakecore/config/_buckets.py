"""The settings of `[storage]`: how the lake's store is reached, and its other buckets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from lakecore.base import InvalidInput
from lakecore.config._setting import NO_OPTIONS, setting

ROLES: Final = ("archive", "primary", "replica")

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_SECRET: Final = re.compile(r"key|secret|token|password|passwd|sas|signature|authorization", re.I)


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketSettings:
    """One bucket, by a name of your choice; see [buckets.md](buckets.md).

    `primary` is the lake itself, `archive` holds datasets, `replica` a copy of the lake.
    Credentials are never here: only where they are. In the environment the word after `BUCKET`
    says which one: `LAKECORE_STORAGE__BUCKET__COLD__URI`.
    """

    name: str = setting("", "What it is called: letters a-z, digits and `-`.", required=True)
    uri: str = setting(
        "",
        "Where it is: a path, or a URL (`s3://bucket/prefix`, `gs://`, `az://`). "
        "A relative path in a file is relative to that file.",
        required=True,
    )
    role: str = setting("archive", "What it is for.", choices=ROLES)
    region: str = setting("", "Its region; empty: the provider's own default.")
    endpoint: str = setting("", "Its endpoint, where it is not the provider's own.")
    options: Mapping[str, str] = setting(
        NO_OPTIONS,
        "Further options of the store by name, such as `allow_http`; no credentials.",
        secret=True,
    )
    credentials_env: Mapping[str, str] = setting(
        NO_OPTIONS,
        "Of each credential the environment variable that has it: "
        '`{ access_key_id = "COLD_ID", secret_access_key = "COLD_SECRET" }`.',
        secret=True,
        masked=True,
    )
    profile: str = setting("", "Or the profile in the shared credentials file of AWS's tools.")
    credentials_file: str = setting(
        "",
        "Or a JSON file as AWS's `credential_process` gives it (`AccessKeyId`, "
        "`SecretAccessKey`, `SessionToken`, `Expiration`), or of the store's own options. "
        "It is read again when it changes or its content ends.",
    )
    read_only: bool = setting(
        False, "Nothing is ever written there: its tables can be adopted and read."
    )
    max_retries: int = setting(
        4, "Tries of one request after the first (throttled, 5xx, no answer).", minimum=0,
        maximum=50,
    )  # fmt: skip
    retry_timeout_s: int = setting(
        15, "Seconds within which a request and its retries begin.", minimum=1, maximum=600
    )
    timeout_s: int = setting(
        30, "Seconds that one request may take, from connecting to its end.", minimum=1,
        maximum=3_600,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageSettings:
    """How the object store is reached."""

    options: Mapping[str, str] = setting(
        NO_OPTIONS,
        "Options of the store by name, such as `region` or `endpoint`; "
        "in the environment one variable each: `LAKECORE_STORAGE__OPTIONS__REGION`. "
        "Values whose name says key, secret, token or password are never shown.",
        secret=True,
    )
    bucket: tuple[BucketSettings, ...] = setting(
        (), "Named buckets: the lake itself, archives, replicas.", tables=BucketSettings
    )
    failover: bool = setting(
        True,
        "Answer questions from a replica while the primary does not answer, and say so; "
        "changes are refused meanwhile.",
    )
    probe_interval_s: float = setting(
        5.0,
        "Seconds between two looks at most whether a primary that is away has come back.",
        minimum=0.05,
        maximum=3_600,
    )
    probe_timeout_s: int = setting(3, "Seconds that such a look may take.", minimum=1, maximum=60)
    max_stale_s: float = setting(
        0.0,
        "A replica that is older is not asked: the question fails instead; 0: however old.",
        minimum=0,
        maximum=315_360_000,
    )
    replicate_interval_s: float = setting(
        60.0,
        "Seconds between two replications that `lakecore up` runs by itself; 0: none.",
        minimum=0,
        maximum=604_800,
    )


def check_buckets(buckets: tuple[BucketSettings, ...], *, where: str) -> None:
    """What one bucket's values alone do not show.

    Raises:
        InvalidInput: a name twice or not a name, two primaries, a secret among the options,
            or credentials in two places.
    """
    names: set[str] = set()
    for bucket in buckets:
        at = f"storage.bucket {bucket.name!r}"
        if _NAME.fullmatch(bucket.name) is None:
            raise InvalidInput(
                f"{at} is not a bucket's name",
                expected="letters a-z, digits and '-', at most 63",
                where=where,
            )
        if bucket.name in names:
            raise InvalidInput(f"{at} is there twice", expected="one of each name", where=where)
        names.add(bucket.name)
        secrets = sorted(name for name in bucket.options if _SECRET.search(name))
        if secrets:
            raise InvalidInput(
                f"{at} has a secret among its options",
                expected="credentials_env, profile or credentials_file",
                found=", ".join(secrets),
                where=where,
            )
        places = [bool(bucket.credentials_env), bool(bucket.profile), bool(bucket.credentials_file)]
        if sum(places) > 1:
            raise InvalidInput(
                f"{at} has credentials in more than one place",
                expected="one of credentials_env, profile, credentials_file",
                where=where,
            )
    if sum(bucket.role == "primary" for bucket in buckets) > 1:
        raise InvalidInput(
            "storage.bucket has more than one primary", expected="one: the lake", where=where
        )
