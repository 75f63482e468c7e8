"""Write the golden files of models: ``python -m tests.golden.generate_llm_v1``.

`llm_replay_v1.json` and `llm_replay_stream_v1.json` are recorded answers, `llm_ledger_v1.sqlite` is
a ledger with an attempt of each kind.
"""

from __future__ import annotations

import sqlite3
import tempfile
from pathlib import Path

from lakecore.base import ManualClock
from lakecore.llm import Ask, By, Ledger, Outcome, Prices, Rung
from lakecore.llm._outcome import Left
from lakecore.llm._records import Budgets, Reservation, Settlement
from lakecore.llm._replay import render
from lakecore.llm._reply import StreamReader, read_completion
from lakecore.llm._request import Prepared, prepare
from lakecore.llm._tokens import Origin, Usage
from lakecore.llm._uptime import ManualUptime

FOLDER = Path(__file__).parent
RUNG = Rung(
    name="local", base_url="http://127.0.0.1:8080/v1", model="m", prices=Prices.of_usd(1, 4)
)
COMPLETION = (
    b'{"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"m","choices":'
    b'[{"index":0,"message":{"role":"assistant","content":"55"},"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":9,"completion_tokens":1,"total_tokens":10}}'
)
CHUNKS = (
    b'{"id":"c","model":"m","choices":[{"index":0,"delta":{"content":"55"}}]}',
    b'{"id":"c","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}',
    b'{"id":"c","model":"m","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":1}}',
)


def prepared(*, is_stream: bool = False) -> Prepared:
    """The request that the answers are to."""
    messages = [{"role": "user", "content": "How many seats has N10156?"}]
    ask = Ask(messages=messages, parameters={"temperature": 0.5})
    return prepare(ask, RUNG, is_stream=is_stream)


def recorded() -> bytes:
    """A whole answer."""
    return render(prepared(), read_completion(200, COMPLETION))


def recorded_stream() -> bytes:
    """An answer that came in pieces."""
    reader = StreamReader(prepared(is_stream=True))
    data = b"".join(b"data: " + chunk + b"\n\n" for chunk in CHUNKS)
    chunks = list(reader.feed(data))
    return render(prepared(is_stream=True), reader.reply(), chunks)


def write_ledger(path: Path) -> None:
    """A ledger: one attempt that was answered, one that followed it, a denied one, an open one."""
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger(
            Path(folder),
            clock=ManualClock(1_700_000_000_000_000),
            uptime=ManualUptime(1_000_000, boot="golden"),
        )
        for number, left in enumerate(((), (Left("cheap", Outcome.ASLEEP, "nobody answers"),))):
            ledger.reserve(_reservation(f"attempt-{number}", left)).result()
            usage = Usage(9, 1, Origin.PROVIDER)
            outcome = (Outcome.OK, Outcome.SCHEMA)[number]
            how = Settlement(outcome=outcome, usage=usage, status=200, duration_ms=12.5)
            ledger.settle(f"attempt-{number}", how).result()
        denied = Settlement(outcome=Outcome.BUDGET, detail="it may cost too much")
        ledger.note(_reservation("attempt-2", ()), denied).result()
        ledger.mark_projected([1])
        ledger.reserve(_reservation("attempt-3", ())).result()
        # Names of processes are random.
        ledger.call(lambda db: db.execute("UPDATE attempts SET owner = 'golden'") and None)
        ledger.close()
        connection = sqlite3.connect(Path(folder) / "llm-ledger.sqlite")
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("VACUUM")
        connection.close()
        path.write_bytes((Path(folder) / "llm-ledger.sqlite").read_bytes())


def _reservation(id_: str, left: tuple[Left, ...]) -> Reservation:
    return Reservation(
        id=id_,
        call_id=f"call-{id_}",
        ordinal=0,
        by=By(actor="ada", key="0123456789ab", source="api", run="run-1"),
        rung=RUNG,
        most_nano=5_000_000,
        prompt_most=1_000,
        output_most=1_000,
        tokens=1_010,
        budgets=Budgets(),
        left=left,
    )


def main() -> None:
    """Write all."""
    (FOLDER / "llm_replay_v1.json").write_bytes(recorded())
    (FOLDER / "llm_replay_stream_v1.json").write_bytes(recorded_stream())
    write_ledger(FOLDER / "llm_ledger_v1.sqlite")


if __name__ == "__main__":
    main()
