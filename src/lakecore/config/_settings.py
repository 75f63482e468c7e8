"""The settings themselves: one frozen dataclass per section, each field described where it is.

What models, agents and those who look on are given is in `_programs`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lakecore.base.limits import GIB, MIB
from lakecore.config._buckets import StorageSettings
from lakecore.config._programs import (
    AgentsSettings,
    AuditorSettings,
    EmbeddingSettings,
    LlmSettings,
    ObserverSettings,
    ReviewSettings,
)
from lakecore.config._setting import NO_OPTIONS, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class LakeSettings:
    """Which lake, and in whose name it is changed."""

    uri: str = setting(
        "./lake",
        "The lake: a path, or a URL (`s3://`, `gs://`, `az://`, `memory://`). "
        "A relative path in a file is relative to that file.",
    )
    actor: str = setting(
        "", "Who changes things when `--actor` is not given; empty: the operating system's user."
    )
    maintain: bool = setting(
        True,
        "Put small files together and remove what is not kept any more in the background of "
        "long-running processes; otherwise only by `lakecore maintain`.",
    )
    maintain_interval_s: float = setting(
        900.0,
        "Seconds between two such runs, and before the first one.",
        minimum=1,
        maximum=604_800,
    )
    target_file_bytes: int = setting(
        128 * MIB,
        "Bytes of a data file that small ones are put together to.",
        minimum=1 * MIB,
        maximum=4 * GIB,
    )
    retention_days: float = setting(
        30.0,
        "Days for which every version of a dataset can be read (`as_of`, `restore`); "
        "`lakecore alter --retention-days` says otherwise for one.",
        minimum=0,
        maximum=36_600,
    )
    retention_versions: int = setting(
        10, "Versions of a dataset that are kept whatever their age.", minimum=1
    )
    vacuum_grace_hours: float = setting(
        24.0,
        "Hours before a file goes that no kept version needs, since it was written and since "
        "the table gave it up: queries and changes that run as long lose nothing.",
        minimum=0,
        maximum=8_784,
    )
    records_interval_s: float = setting(
        5.0,
        "Seconds between two commits of the lake's own records (`system.usage`, `system.events`, "
        "…), each a version of a table: where few come, twelve times as long at most. Until then "
        "they wait, durable, on this machine, where SQL that asks for them has them committed.",
        minimum=0.05,
        maximum=3_600,
    )
    records_max_bytes: int = setting(
        256 * MIB,
        "Bytes of records that may wait on this machine; "
        "beyond it new ones are refused with an error to try again.",
        minimum=1 * MIB,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalSettings:
    """When events are sealed, how many may wait, and when sealed files are merged."""

    seal_events: int = setting(
        65_536,
        "Events that wait before they are sealed, whatever their age.",
        minimum=1,
        maximum=65_536,
    )
    seal_interval_s: float = setting(
        5.0, "Seconds that an event waits at most before it is sealed.", minimum=0.05, maximum=3600
    )
    max_hot_bytes: int = setting(
        1 * GIB,
        "Bytes of acknowledged events that may wait for sealing; "
        "beyond it new events are refused with an error to try again.",
        minimum=1 * MIB,
    )
    idempotency_days: int = setting(
        7,
        "Days for which an event id that a caller supplied is known again, from sealing on: "
        "the same event again is acknowledged and not recorded twice.",
        minimum=1,
        maximum=366,
    )
    checkpoint: bool = setting(
        True, "Sign what is sealed, on a machine that has the key of the lake's log."
    )
    checkpoint_interval_s: float = setting(
        60.0,
        "Seconds between two checkpoints at least; closing the lake signs, too.",
        minimum=0,
        maximum=86_400,
    )
    vkeys: Mapping[str, str] = setting(
        NO_OPTIONS,
        "Verifier keys, by a name of your choice, whose signatures `verify` accepts beside those "
        "of this machine's own key: `journal key show` prints a key, a witness publishes its.",
    )
    compact: bool = setting(
        True, "Merge small files of the sealed log in the background of long-running processes."
    )
    compact_grace_s: float = setting(
        600.0,
        "Seconds before files that were merged are replaced by stubs. "
        "A query of `system.journal` that runs longer holds its files, or is told to run again.",
        minimum=0,
        maximum=604_800,
    )
    archives: Mapping[str, str] = setting(
        NO_OPTIONS,
        "Where events are that left the lake: the URI of each archive by its name, as "
        "`journal archive --to NAME` and the stubs in the log have it.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class QuerySettings:
    """Bounds of one query."""

    memory_limit_bytes: int = setting(
        1 * GIB,
        "Memory that a query may take; what needs more is spilled to disk.",
        minimum=16 * MIB,
    )
    timeout_s: float = setting(300.0, "Seconds that a query may run.", minimum=0.001)
    spill_directory: str = setting(
        "", "Where queries spill; empty: the system's temporary directory."
    )
    engine: str = setting(
        "datafusion",
        "Where a query runs that names no engine: in this process, or on the Spark server.",
        choices=("datafusion", "spark"),
    )
    spark: str = setting(
        "",
        "A Spark Connect server, `sc://host:port`, for queries with the engine `spark` and upkeep "
        "that is told to run there; empty: none. See docs/spark.md.",
        masked=True,
    )
    spark_token_env: str = setting(
        "", "The environment variable with the Spark server's token; with one, TLS is used."
    )
    spark_lake: str = setting(
        "",
        "The lake's URI as the Spark server reaches it; empty: as this machine does. "
        "The server needs credentials of its own for it.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSettings(EmbeddingSettings):
    """Indexes, and what makes vectors of texts. See `docs/search.md` and `docs/embeddings.md`."""

    index_cache_bytes: int = setting(
        4 * GIB,
        "Bytes of index files that this machine keeps of a lake in a bucket.",
        minimum=64 * MIB,
    )
    refresh: bool = setting(
        True, "Refresh indexes whose datasets changed, in the background of `lakecore up`."
    )
    refresh_interval_s: float = setting(
        60.0, "Seconds between two looks at what changed.", minimum=1, maximum=86_400
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TruthSettings:
    """Changes that wait for an approval."""

    pending_days: float = setting(
        7.0, "Days that a change waits for an approval before it lapses.", minimum=0, maximum=3_660
    )
    pending_bytes: int = setting(
        1 * GIB,
        "Bytes of input rows, and of the exact diff, that one waiting change may have; "
        "a larger one is refused.",
        minimum=1 * MIB,
    )
    pending_max: int = setting(
        1_000, "Changes that may wait at a time.", minimum=1, maximum=1_000_000
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthSettings:
    """Who has to come with an API key."""

    enabled: bool = setting(
        False,
        "Ask for a key on loopback, too. A gateway that listens on anything else always asks.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySettings:
    """Where `lakecore up` listens, and the most that it takes on."""

    host: str = setting("127.0.0.1", "The address to listen on.")
    port: int = setting(
        3100, "The port to listen on; 0: one that is free.", minimum=0, maximum=65_535
    )
    max_body_bytes: int = setting(
        64 * MIB, "Bytes of a request's body, if it is no file.", minimum=1_024, maximum=4 * GIB
    )
    max_upload_bytes: int = setting(
        8 * GIB, "Bytes of a request that brings a file.", minimum=1_024
    )
    threads: int = setting(16, "Calls of the lake at a time.", minimum=1, maximum=1_024)
    max_waiting: int = setting(
        64, "Calls that may wait for a thread; the next one is told to come again.", minimum=0
    )
    max_requests: int = setting(
        1_024, "Requests at a time, also those whose answers are streams.", minimum=1
    )
    max_connections: int = setting(
        2_048, "Connections at a time; the next one is told to come again.", minimum=1
    )
    max_queries: int = setting(
        16,
        "SQL statements at a time, those included whose rows are being sent; each may take "
        "[query] memory_limit_bytes. The next one is told to come again.",
        minimum=1,
    )
    max_bodies_bytes: int = setting(
        512 * MIB,
        "Bytes of bodies in memory at a time, those of all requests together, uploads apart.",
        minimum=1_024,
    )
    max_unpacked_ratio: float = setting(
        200.0,
        "A body that comes compressed may be so many times as long when it is unpacked, "
        "beyond its first MiB; max_body_bytes holds besides.",
        minimum=1,
    )
    rate_per_s: float = setting(
        1_000.0,
        "Requests a second of one key, and of one address without a key; 0: as many as come.",
        minimum=0,
    )
    rate_burst: int = setting(
        2_000, "Requests of one key or address that may come at once.", minimum=1
    )
    compress: bool = setting(
        True, "Compress answers (zstd, gzip) for clients that say they take them so."
    )
    head_timeout_s: float = setting(
        15.0, "Seconds within which the head of a request has to come.", minimum=0.01
    )
    timeout_s: float = setting(
        60.0,
        "Seconds that a client may be silent while its request comes, and that it may take "
        "none of its answer.",
        minimum=0.01,
    )
    shutdown_s: float = setting(
        10.0, "Seconds that requests under way have to end, at a stop.", minimum=1, maximum=3_600
    )
    log_format: str = setting(
        "text",
        "How `lakecore up` writes its log to standard error: `text`, or `json`, an object a line.",
        choices=("text", "json"),
    )
    log_level: str = setting(
        "info",
        "The least that is logged: `debug`, `info`, `warning`, `error`.",
        choices=("debug", "info", "warning", "error"),
    )
    access_log: bool = setting(True, "A line of the log for every request, at the level `info`.")
    otlp_endpoint: str = setting(
        "",
        "An OpenTelemetry collector that takes traces over OTLP/HTTP, `http://host:4318`; empty: "
        "nothing is traced. Needs the extra `otel`.",
    )
    otlp_headers: Mapping[str, str] = setting(
        NO_OPTIONS,
        "Sent to the collector with every request, such as its key; in the environment one "
        "variable each: `LAKECORE_GATEWAY__OTLP_HEADERS__X_API_KEY` is `x-api-key`. Never shown.",
        secret=True,
        masked=True,
    )
    otlp_ratio: float = setting(
        1.0,
        "How many of the traces that begin here are kept; those of others are kept as they say.",
        minimum=0,
        maximum=1,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleSettings:
    """The control plane: pages for people, which `lakecore up` serves beside the gateway."""

    enabled: bool = setting(True, "Serve the control plane.")
    host: str = setting(
        "127.0.0.1", "The address to listen on; on anything but loopback a key is asked for."
    )
    port: int = setting(
        3950, "The port to listen on; 0: one that is free.", minimum=0, maximum=65_535
    )
    url: str = setting(
        "",
        "How people reach it behind a proxy, `https://lake.example`: the name it answers to "
        "beside its address. With https the cookie is for https alone.",
    )
    session_hours: float = setting(
        12.0,
        "Hours without a request after which somebody logs in again.",
        minimum=0.01,
        maximum=720,
    )
    link_minutes: float = setting(
        10.0, "Minutes that a one-time login link lasts.", minimum=0.01, maximum=1_440
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookSettings:
    """How `lakecore up` delivers webhooks; see [webhooks.md](webhooks.md)."""

    deliver: bool = setting(True, "Deliver the webhooks of this machine.")
    timeout_s: float = setting(
        10.0, "Seconds of one attempt, from the name to the answer.", minimum=0.1, maximum=60
    )
    concurrency: int = setting(8, "Attempts at a time.", minimum=1, maximum=64)
    give_up_s: float = setting(
        259_200.0,
        "Seconds of nothing but failures after which a webhook is disabled.",
        minimum=0,
        maximum=2_678_400,
    )
    allow_networks: str = setting(
        "",
        "Networks beside the public internet that may be sent to, by http as well: "
        '`"10.1.0.0/16, 127.0.0.1"`.',
    )
    secrets_directory: str = setting(
        "", "Where signing secrets of your own are, a file each, for `file:NAME`; empty: nowhere."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting, by section."""

    lake: LakeSettings = field(default_factory=LakeSettings)
    storage: StorageSettings = field(default_factory=StorageSettings)
    journal: JournalSettings = field(default_factory=JournalSettings)
    query: QuerySettings = field(default_factory=QuerySettings)
    search: SearchSettings = field(default_factory=SearchSettings)
    truth: TruthSettings = field(default_factory=TruthSettings)
    auth: AuthSettings = field(default_factory=AuthSettings)
    gateway: GatewaySettings = field(default_factory=GatewaySettings)
    console: ConsoleSettings = field(default_factory=ConsoleSettings)
    webhooks: WebhookSettings = field(default_factory=WebhookSettings)
    llm: LlmSettings = field(default_factory=LlmSettings)
    agents: AgentsSettings = field(default_factory=AgentsSettings)
    observer: ObserverSettings = field(default_factory=ObserverSettings)
    review: ReviewSettings = field(default_factory=ReviewSettings)
    auditor: AuditorSettings = field(default_factory=AuditorSettings)
