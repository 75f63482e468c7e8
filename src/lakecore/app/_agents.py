"""What `Lake` offers of agents: tasks carried out by a model, in a principal's name."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from lakecore.base import (
    Conflict,
    InvalidInput,
    LakecoreError,
    NotFound,
    Refused,
    TooManyRequests,
    uuid7,
)

if TYPE_CHECKING:
    from lakecore.agents import Limits, McpServer, Run, RunStore, Spent, Step
    from lakecore.app._components import Components
    from lakecore.auth import Principal
    from lakecore.records import RecordKind

_log = logging.getLogger(__name__)

LOOK_S: Final = 2.0
"""Between two looks at what runs wait for, in a process that serves."""
_RETRY_AFTER_S: Final = 5


class AgentsFace:
    """Agents: begin a task, see its steps, go on where it waited."""

    _parts: Components
    _actor: str

    def run_agent(
        self,
        task: str,
        *,
        actor: str | None = None,
        model: str = "ladder",
        tools: Sequence[str] | None = None,
        limits: Limits | None = None,
        on_step: Callable[[Run, Step], None] = lambda run, step: None,
    ) -> Run:
        """Carry out a task, until it is done, has failed, or waits for a person.

        Args:
            actor: in whose name; default the lake's. A name like ``agent:tidy`` is an agent's.
            model: a rung's name, or ``ladder``.
            tools: names of those that it may use; default all.
        """
        run = self.new_agent_run(task, actor=actor, model=model, tools=tools, limits=limits)
        return self._parts.agents.work(run.id, self._agent_principal(actor), on_step)

    def new_agent_run(
        self,
        task: str,
        *,
        actor: str | None = None,
        model: str = "ladder",
        tools: Sequence[str] | None = None,
        limits: Limits | None = None,
    ) -> Run:
        """Write a task down, for `Lake.resume_agent` or a process that serves to carry it out."""
        return self._parts.agents.create(
            task, self._agent_principal(actor), model=model, tools=tools, limits=limits
        )

    def start_agent(self, task: str, **options: Any) -> Run:
        """As `run_agent`, in the background of this process: its first state comes back at once.

        Raises:
            TooManyRequests: as many runs as `[agents] max_runs` are under way.
        """
        return self._parts.agents.start(
            lambda: self.new_agent_run(task, **options), self._agent_principal(options.get("actor"))
        )

    def agent_runs(self, *, limit: int = 100) -> list[Run]:
        """The runs of this machine, the newest first; of everybody, or of the principal."""
        return [run for run in self._parts.agents.store.listed(limit=limit) if self._may_see(run)]

    def agent_run(self, run_id: str) -> Run:
        """One run. Raises `NotFound`."""
        run = self._parts.agents.store.get(run_id)
        if not self._may_see(run):
            raise NotFound("there is no such run on this machine", found=run_id[:200])
        return run

    def agent_steps(self, run_id: str, *, after: int = 0) -> list[Step]:
        """The steps of a run behind number `after`; one that is under way has no result yet."""
        self.agent_run(run_id)
        return self._parts.agents.store.steps(run_id, after=after)

    def agent_spent(self, run_ids: Sequence[str]) -> dict[str, Spent]:
        """What the steps of some runs of `agent_runs` came to, by their ids."""
        return self._parts.agents.store.spent(run_ids)

    def resume_agent(
        self, run_id: str, *, on_step: Callable[[Run, Step], None] = lambda run, step: None
    ) -> Run:
        """Go on with a run that waited, or whose process died."""
        run = self.agent_run(run_id)
        return self._parts.agents.work(run_id, self._agent_principal(run.actor), on_step)

    def cancel_agent(self, run_id: str) -> Run:
        """End a run. What it has proposed stays proposed. Raises `Conflict` while it works."""
        self.agent_run(run_id)
        return self._parts.agents.cancel(run_id)

    def _agent_principal(self, actor: str | None) -> Principal:
        from lakecore.auth import Principal

        return Principal.local(actor or self._actor)

    def _may_see(self, run: Run) -> bool:
        return True


class AgentDesk:
    """The runs of one lake in this process. Threads share it.

    Args:
        parts: of the lake.
    """

    def __init__(self, parts: Components) -> None:
        from lakecore.agents import RunStore

        self._parts = parts
        self._settings = parts.settings.agents
        self.store: RunStore = RunStore(parts.state_dir)
        self._workers: ThreadPoolExecutor | None = None
        self._under_way: set[str] = set()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._watcher: threading.Thread | None = None

    def create(
        self,
        task: str,
        principal: Principal,
        *,
        model: str,
        tools: Sequence[str] | None,
        limits: Limits | None,
    ) -> Run:
        """Write a task down."""
        from lakecore.agents import MAX_TASK_CHARACTERS, Run

        if not task.strip() or len(task) > MAX_TASK_CHARACTERS:
            raise InvalidInput(
                "a task is a text",
                expected=f"1 to {MAX_TASK_CHARACTERS:,} characters",
                found=len(task),
            )
        known = self._parts.ladder.rungs
        if model != "ladder" and model not in {rung.name for rung in known}:
            names = ", ".join(["ladder", *(rung.name for rung in known)])
            raise NotFound("there is no such model", expected=names, found=model[:80])
        run = Run(
            id=uuid7(),
            task=task,
            actor=principal.name,
            key=principal.key_id or "",
            model=model,
            tools=tuple(tools) if tools is not None else ("*",),
            limits=self._bounded(limits),
            created_us=self._parts.clock.now_us(),
        )
        self.store.create(run)
        return run

    def work(
        self,
        run_id: str,
        principal: Principal,
        on_step: Callable[[Run, Step], None] = lambda run, step: None,
    ) -> Run:
        """Go on with a run, in this thread, until it ends or waits."""
        from lakecore.agents import Agent, LakeApprovals, McpTools, RowRecords, lake_tools
        from lakecore.app._acting import ActingLake
        from lakecore.app._lake import Lake

        lake = ActingLake(Lake(self._parts, actor=principal.name), principal)
        with McpTools(self._servers()) as others:
            agent = Agent(
                self.store,
                self._parts.ladder,
                [*lake_tools(lake, principal), *others.tools],
                LakeApprovals(self._parts.approvals.get),
                clock=self._parts.clock,
                records=RowRecords(
                    lambda kind, rows, ids: self._parts.records.append(kind, rows, ids=ids)
                ),
                on_step=on_step,
            )
            return agent.resume(run_id)

    def start(self, create: Callable[[], Run], principal: Principal) -> Run:
        """Begin a run in the background."""
        with self._lock:
            if len(self._under_way) >= self._settings.max_runs:
                raise TooManyRequests(
                    f"{self._settings.max_runs} agents are at work", retry_after_s=_RETRY_AFTER_S
                )
            run = create()
            self._submit(run.id, principal)
        return run

    def watch(self) -> None:
        """From now on runs that waited, or whose process died, go on by themselves."""
        with self._lock:
            if self._watcher is None:
                self._watcher = threading.Thread(
                    target=self._look_on, name="lakecore-agents", daemon=True
                )
                self._watcher.start()

    def cancel(self, run_id: str) -> Run:
        """End a run that nobody works on."""
        from lakecore.agents import RunState

        with self.store.held(run_id):
            run = self.store.get(run_id)
            if run.ended_us:
                return run
            ended = replace(
                run, state=RunState.CANCELLED, pending="", ended_us=self._parts.clock.now_us()
            )
            self.store.put(ended)
            return ended

    def close(self) -> None:
        """Take no further step: what is under way goes on in the next process."""
        self._closed.set()
        if self._watcher is not None:
            self._watcher.join()
        if self._workers is not None:
            self._workers.shutdown(wait=True, cancel_futures=True)
        self.store.close()

    # -- inside -----------------------------------------------------------------------

    def _bounded(self, limits: Limits | None) -> Limits:
        """Limits within those of the settings."""
        from lakecore.agents import Limits

        most = Limits(
            max_steps=self._settings.max_steps,
            max_tokens=self._settings.max_tokens,
            max_seconds=self._settings.max_seconds,
        )
        if limits is None:
            return most
        return replace(
            limits,
            max_steps=min(limits.max_steps, most.max_steps),
            max_tokens=min(limits.max_tokens, most.max_tokens),
            max_seconds=min(limits.max_seconds, most.max_seconds),
        )

    def _servers(self) -> list[McpServer]:
        import os

        from lakecore.agents import McpServer

        return [
            McpServer(
                name=one.name,
                command=one.command,
                url=one.url,
                environment={
                    name: os.environ[name] for name in one.environment if name in os.environ
                },
                timeout_s=one.timeout_s,
            )
            for one in self._settings.server
        ]

    def _submit(self, run_id: str, principal: Principal) -> None:
        if self._workers is None:
            self._workers = ThreadPoolExecutor(
                self._settings.max_runs, thread_name_prefix="lakecore-agent"
            )
        self._under_way.add(run_id)
        self._workers.submit(self._carry_out, run_id, principal)

    def _carry_out(self, run_id: str, principal: Principal) -> None:
        try:
            self.work(run_id, principal)
        except Conflict:
            pass  # another process works on it
        except LakecoreError as error:
            _log.warning("run %s goes on later: %s", run_id, error)
        except Exception:
            _log.exception("run %s ended by a bug", run_id)
        finally:
            with self._lock:
                self._under_way.discard(run_id)

    def _look_on(self) -> None:
        while not self._closed.wait(LOOK_S):
            try:
                self._look()
            except LakecoreError as error:
                _log.warning("runs of agents cannot be looked at: %s", error)

    def _look(self) -> None:
        from lakecore.agents import RunState

        going = frozenset((RunState.RUNNING, RunState.WAITING))
        for run in self.store.listed(states=going, limit=1_000):
            with self._lock:
                busy = len(self._under_way) >= self._settings.max_runs
                if busy or run.id in self._under_way:
                    continue
            if run.state is RunState.WAITING and not self._is_decided(run.pending):
                continue
            principal = self._principal(run)
            if principal is not None:
                with self._lock:
                    self._submit(run.id, principal)

    def _is_decided(self, pending: str) -> bool:
        from lakecore.agents import LakeApprovals

        return LakeApprovals(self._parts.approvals.get).verdict(pending).is_decided

    def _principal(self, run: Run) -> Principal | None:
        """Who began a run, as they are now; a key that has ended carries nothing out."""
        from lakecore.auth import Principal

        if not run.key:
            return Principal.local(run.actor)
        try:
            return self._parts.keys.principal_of(run.key)
        except (NotFound, Refused, LakecoreError):
            return None


def agent_kinds() -> list[RecordKind]:
    """The columns of `system.runs` and `system.steps`."""
    from lakecore.agents import RUNS, STEPS, runs_schema, steps_schema
    from lakecore.records import RecordKind

    return [
        RecordKind(RUNS, runs_schema(), "Tasks of agents: a row for each state of a run."),
        RecordKind(STEPS, steps_schema(), "What agents did: a row for each step of a run."),
    ]
