"""Agents: a task, a model that calls tools, and a record of every step.

    task -> limits -> question to the ladder -> calls of tools -> … -> result
              |                                     |
            failed: steps, tokens, time,      a change waits for a person:
            money, going in circles           the run waits, and goes on by `resume`

Every step is durable before the next is begun, so that a run that was killed goes on where it
was, and makes no change twice. Everything is done in the agent's own name: what its principal
may not, it cannot, and what the rules hold back waits for somebody else.

==============  ======================================================================
`_run`          runs, steps, limits: values
`_loop`         the loop itself
`_stuck`        whether it goes round in circles (pure)
`_transcript`   what the model is told; what tools answered is marked as data (pure)
`_store`        runs and steps of this machine, durable
`_lake_tools`   the lake as tools; `_mcp_tools`: those of other programs
`_records`      their rows in `system.runs` and `system.steps`
`_ports`        models, tools, approvals, records as the loop needs them
==============  ======================================================================

>>> from pathlib import Path; from tempfile import mkdtemp
>>> from lakecore.agents import Agent, Run, RunStore, Tool, ToolAnswer
>>> from lakecore.base import SystemClock
>>> from lakecore.llm import Answer, Outcome
>>> class Model:
...     def complete(self, ask, by):
...         words = {"role": "assistant", "content": "It has 160 seats."}
...         body = {"choices": [{"message": words}]}
...         return Answer(outcome=Outcome.OK, detail="", call_id="1", body=body)
>>> agent = Agent(RunStore(Path(mkdtemp())), Model(), [], approvals=None, clock=SystemClock())
>>> run = agent.run(Run(id="r1", task="How many seats has N10156?", actor="agent:tidy"))
>>> run.state.value, run.result
('done', 'It has 160 seats.')
"""

from lakecore.agents._lake_tools import AgentLake, LakeApprovals, lake_tools
from lakecore.agents._loop import Agent
from lakecore.agents._mcp_tools import McpServer, McpTools
from lakecore.agents._ports import Approvals, Models, Records, Tool, ToolAnswer, Verdict
from lakecore.agents._records import RUNS, STEPS, RowRecords, runs_schema, steps_schema
from lakecore.agents._run import (
    ENDED,
    FAILURES,
    MAX_TASK_CHARACTERS,
    Limits,
    Run,
    RunState,
    Spent,
    Step,
    StepKind,
    spent,
)
from lakecore.agents._store import RunStore

__all__ = [
    "ENDED",
    "FAILURES",
    "MAX_TASK_CHARACTERS",
    "RUNS",
    "STEPS",
    "Agent",
    "AgentLake",
    "Approvals",
    "LakeApprovals",
    "Limits",
    "McpServer",
    "McpTools",
    "Models",
    "Records",
    "RowRecords",
    "Run",
    "RunState",
    "RunStore",
    "Spent",
    "Step",
    "StepKind",
    "Tool",
    "ToolAnswer",
    "Verdict",
    "lake_tools",
    "runs_schema",
    "spent",
    "steps_schema",
]
