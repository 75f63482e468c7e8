"""Models: a ladder of OpenAI-compatible rungs, every call of which is on record and paid for once.

A call goes through here once:

    Ask -> Walk: which rung? -> without secrets -> ledger: reserve -> Wire: send -> judge
             ^                                                                       |
             |  again, repair, leave: for a typed reason  <-  ledger: settle  <------+
             v
           Answer: a typed outcome, always

=================  ==================================================================
`_ladder`          `Ladder`: the face; sync and async
`_call`            one call: reserve, send, judge, settle, again
`_outcome`         the outcomes, and what comes after each: one table; no I/O
`_rung`            rungs; `_money`, `_tokens`: what they cost, and the most that it can be
`_request`         what is asked, and what a rung is sent for it
`_output`          the form of an answer, and whether it has it
`_redact`          secrets blotted out
`_reply`           what a server answered, read
`_wire`            over the network, by httpx (`_http`)
`_stream`, `_answer` what a call gives
`_ledger`          every attempt before and after, durably; budgets, rates, circuits
`_tables`, `_store`, `_owners`, `_records`, `_day`, `_uptime`
                   its SQLite file, who lives, what is written, whose day it is
`_project`         settled attempts become rows of `system.usage`
`_replay`          answers recorded, and given again
=================  ==================================================================

Nothing is asked twice for money: what is spent is reserved before, at the most that it can be.

>>> from pathlib import Path; from tempfile import mkdtemp
>>> from lakecore.llm import Ask, By, Ladder, Ledger, Prices, Rung
>>> rung = Rung(name="local", base_url="http://127.0.0.1:9/v1", model="m", retries=0)
>>> ladder = Ladder([rung], Ledger(Path(mkdtemp())))
>>> ask = Ask(messages=[{"role": "user", "content": "How many seats has N10156?"}])
>>> answer = ladder.complete(ask, By(actor="ada"))  # nobody listens there
>>> answer.outcome.value, answer.left[0].rung, answer.cost_nano
('asleep', 'local', 0)
>>> ladder.usage().total.requests
1
>>> ladder.close()
"""

from lakecore.llm._answer import Answer, ToolCall
from lakecore.llm._ladder import Ladder
from lakecore.llm._ledger import Ledger
from lakecore.llm._money import Prices, nano_of, usd_of
from lakecore.llm._outcome import REASONS, Left, Outcome, Policy
from lakecore.llm._output import Output
from lakecore.llm._project import RecordSink
from lakecore.llm._records import DATASET, BudgetLeft, Budgets, Circuit, Figures, UsageReport
from lakecore.llm._redact import redact, redact_json
from lakecore.llm._replay import Mode, ReplayStore
from lakecore.llm._request import Ask, By
from lakecore.llm._rung import LADDER, Rung, Structured
from lakecore.llm._stream import AnswerStream
from lakecore.llm._tables import FILE_NAME as LEDGER_FILE

__all__ = [
    "DATASET",
    "LADDER",
    "LEDGER_FILE",
    "REASONS",
    "Answer",
    "AnswerStream",
    "Ask",
    "BudgetLeft",
    "Budgets",
    "By",
    "Circuit",
    "Figures",
    "Ladder",
    "Ledger",
    "Left",
    "Mode",
    "Outcome",
    "Output",
    "Policy",
    "Prices",
    "RecordSink",
    "ReplayStore",
    "Rung",
    "Structured",
    "ToolCall",
    "UsageReport",
    "nano_of",
    "redact",
    "redact_json",
    "usd_of",
]
