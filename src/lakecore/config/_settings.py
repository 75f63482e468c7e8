"""The settings themselves: one frozen dataclass per section, each field described where it is.

Names end in their unit. `setting` attaches what the reader of a file needs: what
the setting is for, its bounds, and whether its value is a secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from lakecore.base.limits import GIB, KIB, MIB

_NO_OPTIONS: Final[Mapping[str, str]] = MappingProxyType({})


def setting(
    default: Any,
    about: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    secret: bool = False,
    masked: bool = False,
    choices: tuple[str, ...] = (),
    tables: type | None = None,
) -> Any:
    """A dataclass field with its description; `minimum` and `maximum` are inclusive.

    `secret`: the value is in no error; `masked`: nor is any part of it shown. `tables` describes
    each table of a list of them.
    """
    metadata = {
        "about": about,
        "minimum": minimum,
        "maximum": maximum,
        "secret": secret,
        "masked": masked,
        "choices": choices,
        "tables": tables,
    }
    if isinstance(default, Mapping):
        return field(default_factory=lambda: default, metadata=metadata)
    return field(default=default, metadata=metadata)


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
        "…); until then they wait, durable, on this machine.",
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
class StorageSettings:
    """How the object store is reached."""

    options: Mapping[str, str] = setting(
        _NO_OPTIONS,
        "Options of the store by name, such as `region` or `endpoint`; "
        "in the environment one variable each: `LAKECORE_STORAGE__OPTIONS__REGION`. "
        "Values whose name says key, secret, token or password are never shown.",
        secret=True,
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
        _NO_OPTIONS,
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
        _NO_OPTIONS,
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
        _NO_OPTIONS,
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
class RungSettings:
    """One rung: an OpenAI-compatible server and a model. The order in the file is the ladder's.

    In the environment the word after `RUNG` says which one: `LAKECORE_LLM__RUNG__1__MODEL`.
    """

    name: str = setting("", "What the rung is called, as `model` of a request, too.")
    base_url: str = setting("", "The server, up to and with `/v1`.")
    model: str = setting("", "The model's name, as the server knows it.")
    api_key_env: str = setting(
        "", "The environment variable that has the server's API key; empty: it needs none."
    )
    prompt_usd_per_million: float = setting(
        -1.0,
        "Dollars for a million tokens of prompts; -1: not said, which is 0 for a server on this "
        "machine and an error for any other.",
        minimum=-1,
        maximum=1_000_000,
    )
    completion_usd_per_million: float = setting(
        -1.0,
        "Dollars for a million tokens of answers; -1: not said.",
        minimum=-1,
        maximum=1_000_000,
    )
    max_output_tokens: int = setting(
        4_096,
        "Tokens of an answer at most; a request may ask for fewer.",
        minimum=1,
        maximum=1_000_000,
    )
    output_member: str = setting(
        "max_tokens",
        "How a request says so: `max_tokens`, or `max_completion_tokens` as OpenAI's newer models "
        "want it.",
    )
    structured: str = setting(
        "json_schema",
        "What the server can hold answers to: `json_schema`, `json_object`, or `text` alone.",
    )
    max_concurrent: int = setting(
        16, "Requests at a time, of all processes of a machine.", minimum=1, maximum=1_024
    )
    requests_per_minute: int = setting(
        0, "Requests within a minute; 0: as many as come.", minimum=0, maximum=10_000_000
    )
    tokens_per_minute: int = setting(
        0, "Tokens within a minute; 0: as many as come.", minimum=0, maximum=1_000_000_000
    )
    timeout_s: float = setting(
        120.0,
        "Seconds that an answer may take; of a stream, that it may be silent.",
        minimum=0.1,
        maximum=3_600,
    )
    retries: int = setting(
        2, "Further attempts after a broken connection or too many requests.", minimum=0, maximum=10
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LlmSettings:
    """Models: what may be spent, and when another one is asked. See `docs/models.md`."""

    rung: tuple[RungSettings, ...] = setting(
        (), "The rungs, from the first that is asked to the last.", tables=RungSettings
    )
    climb: tuple[str, ...] = setting(
        ("unparsable", "schema", "ungrounded"),
        "For which outcomes a dearer rung may be asked. Without its word here nothing costs more.",
    )
    repairs: int = setting(
        1,
        "Times that one rung is told what is wrong with its answer.",
        minimum=0,
        maximum=10,
    )
    max_pause_s: float = setting(
        30.0,
        "Seconds that a call waits for one attempt at most; a rung whose `Retry-After` says more "
        "is left.",
        minimum=0,
        maximum=3_600,
    )
    circuit_faults: int = setting(
        5, "Faults on end after which a rung is left alone.", minimum=1, maximum=1_000
    )
    circuit_s: float = setting(30.0, "Seconds that it is left alone.", minimum=0.1, maximum=86_400)
    budget_call_usd: float = setting(
        1.0, "Dollars that one call may cost.", minimum=0, maximum=1_000_000
    )
    budget_run_usd: float = setting(
        5.0, "Dollars that one run may cost.", minimum=0, maximum=1_000_000
    )
    budget_key_usd: float = setting(
        10.0, "Dollars that one API key may spend a day (UTC).", minimum=0, maximum=1_000_000
    )
    budget_day_usd: float = setting(
        20.0, "Dollars that are spent a day (UTC) on this machine.", minimum=0, maximum=1_000_000
    )
    replay: str = setting(
        "off", "`record`: keep answers; `replay`: give kept ones again and ask nobody; or `off`."
    )
    replay_directory: str = setting(
        "", "Where answers are kept; empty: in the state directory of the lake."
    )
    keep_days: int = setting(
        90,
        "Days that the ledger keeps rows which are in `system.usage`; sums stay.",
        minimum=1,
        maximum=36_600,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolServerSettings:
    """An MCP server whose tools agents may use, beside those of the lake."""

    name: str = setting("", "In front of its tools' names: `NAME__tool`.")
    command: tuple[str, ...] = setting(
        (), "The program and its arguments, spoken to over standard input and output."
    )
    url: str = setting("", "Or where it answers over HTTP.")
    environment: tuple[str, ...] = setting(
        (), "Names of environment variables that the program gets; it gets no others of ours."
    )
    timeout_s: float = setting(30.0, "Seconds that one call may take.", minimum=0.1, maximum=3_600)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentsSettings:
    """How far an agent's run goes at most; a run may ask for less. See `docs/agents.md`."""

    max_steps: int = setting(24, "Questions to the model.", minimum=1, maximum=1_000)
    max_tokens: int = setting(
        400_000, "Tokens of questions and answers together.", minimum=1, maximum=100_000_000
    )
    max_seconds: float = setting(
        600.0, "Seconds, those aside that it waits for people.", minimum=1, maximum=86_400
    )
    max_runs: int = setting(
        4, "Runs at a time, in a process that serves.", minimum=1, maximum=1_000
    )
    server: tuple[ToolServerSettings, ...] = setting(
        (), "MCP servers whose tools agents may use.", tables=ToolServerSettings
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ObserverSettings:
    """What is kept of the events and traces that programs send."""

    events_retention_days: float = setting(
        90.0, "Days that rows of `system.events` are kept.", minimum=0.01, maximum=36_600
    )
    spans_retention_days: float = setting(
        30.0, "Days that rows of `system.spans` are kept.", minimum=0.01, maximum=36_600
    )
    trace_sample_rate: float = setting(
        1.0,
        "The part of all traces that is kept. Which, their ids decide: a trace is kept whole, "
        "or not at all.",
        minimum=0,
        maximum=1,
    )
    max_text: int = setting(
        16 * KIB,
        "Characters of a span's input and output; what is longer is cut.",
        minimum=0,
        maximum=1 * MIB,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditorSettings:
    """Bounds of an audit of commit messages; what is beyond them makes it inconclusive."""

    max_commits: int = setting(
        10_000, "Commits of a range that are audited, the newest first.", minimum=1
    )
    timeout_s: float = setting(600.0, "Seconds that one audit may take.", minimum=0.001)
    git_timeout_s: float = setting(
        60.0, "Seconds that one call of git may take, or stay silent.", minimum=0.01
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting, by section."""

    lake: LakeSettings = field(default_factory=LakeSettings)
    storage: StorageSettings = field(default_factory=StorageSettings)
    journal: JournalSettings = field(default_factory=JournalSettings)
    query: QuerySettings = field(default_factory=QuerySettings)
    truth: TruthSettings = field(default_factory=TruthSettings)
    auth: AuthSettings = field(default_factory=AuthSettings)
    gateway: GatewaySettings = field(default_factory=GatewaySettings)
    webhooks: WebhookSettings = field(default_factory=WebhookSettings)
    llm: LlmSettings = field(default_factory=LlmSettings)
    agents: AgentsSettings = field(default_factory=AgentsSettings)
    observer: ObserverSettings = field(default_factory=ObserverSettings)
    auditor: AuditorSettings = field(default_factory=AuditorSettings)
