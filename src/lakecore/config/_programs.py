"""The settings of models, search, agents, the observer and the auditor."""

from __future__ import annotations

from dataclasses import dataclass

from lakecore.base.limits import GIB, KIB, MIB
from lakecore.config._setting import setting


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
class EmbeddingSettings:
    """What makes vectors of texts: a part of `[search]`. See `docs/embeddings.md`."""

    provider: str = setting(
        "local",
        "`local`: the model of the extra `search`, on this machine; `endpoint`: an "
        "OpenAI-compatible server, which is sent the texts.",
        choices=("local", "endpoint"),
    )
    model: str = setting("", "The model's name, as the endpoint knows it.")
    base_url: str = setting("", "The endpoint, up to and with `/v1`.")
    api_key_env: str = setting(
        "", "The environment variable that has the endpoint's API key; empty: it needs none."
    )
    dimension: int = setting(
        0,
        "Numbers that a vector of the endpoint must have; 0: as many as its first answer has.",
        minimum=0,
        maximum=16_384,
    )
    ask_dimension: bool = setting(
        False, "Ask the endpoint for that many, of models that can give vectors of several lengths."
    )
    batch_texts: int = setting(
        32,
        "Texts that are embedded together; of the local model at most 256.",
        minimum=1,
        maximum=2_048,
    )
    threads: int = setting(2, "Threads that the local model computes on.", minimum=1, maximum=64)
    timeout_s: float = setting(
        60.0, "Seconds that one request to the endpoint may take.", minimum=0.1, maximum=3_600
    )
    retries: int = setting(
        4,
        "Further attempts after a broken connection, too many requests or a fault of the endpoint.",
        minimum=0,
        maximum=20,
    )
    embedding_cache_bytes: int = setting(
        1 * GIB,
        "Bytes of vectors that are kept in the state directory, of all models together.",
        minimum=1 * MIB,
        maximum=1_024 * GIB,
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
    access_log: bool = setting(
        False,
        "Keep a row of `system.events` for every request to the gateway, but for those of "
        "`/health`, `/ready` and `/metrics`: source `gateway`, kind `request`.",
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
