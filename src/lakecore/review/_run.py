"""One iteration of the loop over a repository. It can be killed and run again.

For each file, in a worker of its own:

1. examine   ask for a review of the text (`_examine`)
2. follow    hold it against what is known (`_follow`)
3. confirm   look blind at what is claimed to be fixed (`_confirming`)
4. again     of some files a second review, for the floor under the figures (`_noise`)
5. record    the findings' rows, then the reviews' rows: with these the file is done

Crash window: the findings' rows are there and the reviews' are not. Then the file is done again,
and rows of a batch that no review names are never read.

What a run decides rests on earlier iterations alone, never on the order of its own files: so
it leaves the same rows whether it was interrupted or not.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from lakecore.base import InvalidInput
from lakecore.review._confirming import Confirmed, confirm_claims
from lakecore.review._elsewhere import Elsewhere
from lakecore.review._examine import Examined, Text, examine
from lakecore.review._follow import Followed, follow, gone
from lakecore.review._gate import FileOutcome, gate
from lakecore.review._make import finding_row, review_row
from lakecore.review._memory import FileMemory, Tracked
from lakecore.review._plan import Plan, RunResult
from lakecore.review._ports import FileRef
from lakecore.review._rows import AGAIN, BLIND, FINDINGS, REVIEW, REVIEWS
from lakecore.review._state import Sign, State, next_state

if TYPE_CHECKING:
    from lakecore.review._loop import Loop

STOPPING: Final = frozenset(("budget", "no_rung", "stopped"))
"""Outcomes after which no further question is asked: the run goes on when it is run again."""
_AHEAD: Final = 4


class Run:
    """One run, from its plan to its result."""

    def __init__(
        self, loop: Loop, run_id: str, on_file: Callable[[FileOutcome, int, int], None]
    ) -> None:
        self._loop = loop
        self._run_id = run_id
        self._on_file = on_file
        self._settings = loop.settings
        self._memory = loop.known_before(run_id)
        self._noise = self._memory.noise
        self._stop = threading.Event()
        self._elsewhere = Elsewhere(loop.files)
        earlier = [row for row in loop.rows(REVIEWS, None) if row["run_id"] == run_id]
        for name, mine in (("revision", loop.files.revision), ("bar", loop.bar.id)):
            if earlier and earlier[0][name] != mine:
                raise InvalidInput(
                    f"this run is of another {name}",
                    expected=earlier[0][name],
                    found=mine,
                    where=run_id,
                    hint="finish it as it was begun, or begin another",
                )
        self._iteration = earlier[0]["iteration"] if earlier else self._memory.iteration + 1
        self._tries: dict[str, int] = {}
        self._done: set[str] = set()
        for row in earlier:
            if row["purpose"] == REVIEW:
                self._tries[row["path"]] = self._tries.get(row["path"], 0) + 1
                if row["outcome"] == "ok":
                    self._done.add(row["path"])

    def run(self) -> RunResult:
        loop, plan = self._loop, self._loop.plan_from(self._memory)
        loop.on_plan(plan)
        self._renamed = loop.renames(self._memory)
        self._elsewhere.watch(plan.files)
        self._again = self._chosen_again(plan)
        self._record_gone()
        todo = [ref for ref in plan.files if ref.path not in self._done]
        with ThreadPoolExecutor(
            self._settings.workers, thread_name_prefix="lakecore-review"
        ) as workers:
            failed = self._work(workers, todo, len(plan.files))
        return self._result(plan, failed)

    def _work(
        self, workers: ThreadPoolExecutor, todo: Iterable[FileRef], total: int
    ) -> dict[str, str]:
        """Review files, few more of them under way than there are workers; path: what failed."""
        failed: dict[str, str] = {}
        under_way: dict[Future[FileOutcome], str] = {}
        done = len(self._done)
        queue = iter(todo)
        while True:
            while len(under_way) < self._settings.workers * _AHEAD:
                ref = next(queue, None)
                if ref is None:
                    break
                if self._stop.is_set():
                    failed[ref.path] = "not asked: the run was stopped"
                    continue
                under_way[workers.submit(self._file, ref)] = ref.path
            if not under_way:
                return failed
            ended, _ = wait(under_way, return_when=FIRST_COMPLETED)
            for future in ended:
                outcome = future.result()
                del under_way[future]
                done += 1
                if outcome.why and not outcome.is_whole:
                    failed[outcome.path] = outcome.why
                self._on_file(outcome, done, total)

    # -- one file ---------------------------------------------------------------------

    def _file(self, ref: FileRef) -> FileOutcome:
        if self._stop.is_set():
            return FileOutcome(ref.path, is_whole=False, why="not asked: the run was stopped")
        source = self._loop.files.source(ref)
        text = Text(ref.path, source.text, source.language)
        known = self._memory.files.get(ref.path) or FileMemory(ref.path)
        name = f"{self._run_id}:{ref.path}"
        examined = self._examine(text, f"{name}:review")
        if examined.outcome != "ok":
            return self._failed(ref, examined)
        followed = follow(
            known,
            examined.findings,
            before=self._loop.files.earlier(known.blob, ref.path) if known.blob else None,
            after=text.text,
            language=text.language.value,
            model=examined.reply.model,
            family=examined.reply.family,
            is_elsewhere=self._elsewhere.finder(ref.path),
        )
        signed = list(followed.signed)
        tracked = known.tracked | {one.id: one for one, _ in signed}
        confirmed = self._confirm(tracked, text, f"{name}:blind")
        for id_, verdict in confirmed.verdicts.items():
            sign = {"confirmed": Sign.CONFIRMED, "refuted": Sign.REFUTED}.get(verdict.verdict)
            if sign is not None:
                one = tracked[id_]
                now = _signed(one, sign, verdict.reason)
                tracked[id_] = now
                signed.append((now, sign))
        after = FileMemory(ref.path, ref.blob, baseline=known.baseline, tracked=tracked)
        if after.baseline is None:
            after.baseline = examined.score
        rows = [self._row(ref, REVIEW, examined, after=after, followed=followed)]
        rows += [
            self._row(ref, BLIND, look.examined, control_found=look.control_found, found=look.found)
            for look in confirmed.looks
        ]
        if ref.path in self._again:
            rows += self._second(ref, text, after, name)
        if short := next((row for row in rows if row["outcome"] in STOPPING), None):
            # Half a file is none: all of it is asked again, so that the rows are the same.
            return self._failed(ref, Examined(short["outcome"], examined.reply))
        self._record(ref, rows, signed, name)
        listed = [(one.state, one.finding.severity) for one in tracked.values()]
        why = "clipped: not all of it was reviewed" if examined.is_clipped else ""
        return FileOutcome(ref.path, is_whole=not why, findings=listed, why=why)

    def _failed(self, ref: FileRef, examined: Examined) -> FileOutcome:
        """A file that is asked about again when the run is run again."""
        if examined.outcome in STOPPING:
            self._stop.set()
        self._record(ref, [self._row(ref, REVIEW, examined)], [], "")
        return FileOutcome(ref.path, is_whole=False, why=examined.outcome)

    def _examine(self, text: Text, call_id: str) -> Examined:
        return examine(
            text,
            self._loop.bar,
            self._loop.models,
            call_id=call_id,
            max_tokens=self._settings.max_tokens,
            proposal=self._settings.proposal,
        )

    def _confirm(self, tracked: Mapping[str, Tracked], text: Text, call_id: str) -> Confirmed:
        claims = [one for one in tracked.values() if one.state is State.CLAIMED_FIXED]
        if not claims or not self._settings.confirm:
            return Confirmed({}, ())
        return confirm_claims(
            sorted(claims, key=lambda one: one.id),
            text,
            self._loop.bar,
            self._loop.models,
            self._noise,
            call_id=call_id,
            max_tokens=self._settings.max_tokens,
            min_families=self._settings.min_families,
        )

    def _second(
        self, ref: FileRef, text: Text, after: FileMemory, name: str
    ) -> list[dict[str, Any]]:
        """The other half of an A/A pair; it changes nothing of what is known of the findings."""
        examined = self._examine(text, f"{name}:again")
        if examined.outcome != "ok":
            return [self._row(ref, AGAIN, examined)]
        # The text is the same: this gives the identities that both reviews share.
        same = follow(
            after,
            examined.findings,
            before=text.text,
            after=text.text,
            language=text.language.value,
            model="",
            family="",
        )
        return [self._row(ref, AGAIN, examined, found=same.found)]

    # -- rows -------------------------------------------------------------------------

    def _row(
        self,
        ref: FileRef,
        purpose: str,
        examined: Examined,
        *,
        after: FileMemory | None = None,
        followed: Followed | None = None,
        control_found: bool | None = None,
        found: Iterable[str] = (),
    ) -> dict[str, Any]:
        row = review_row(examined, after, self._loop.trust)
        return row | {
            "time": self._now(),
            "repository": self._loop.repository,
            "run_id": self._run_id,
            "iteration": self._iteration,
            "revision": self._loop.files.revision,
            "path": ref.path,
            "renamed_from": self._renamed.get(ref.path),
            "blob": ref.blob,
            "bar": self._loop.bar.id,
            "purpose": purpose,
            "is_changed": followed.is_changed if followed else False,
            "found": list(followed.found) if followed else sorted(found),
            "touched": list(followed.touched) if followed else [],
            "control_found": control_found,
        }

    def _record(
        self,
        ref: FileRef,
        rows: list[dict[str, Any]],
        signed: Iterable[tuple[Tracked, Sign]],
        name: str,
    ) -> None:
        """The findings first: a batch counts once a review names it."""
        findings = [self._finding(one, sign) for one, sign in signed]
        batch = _batch(findings)
        if findings:
            ids = [f"{name}:{batch}:{number}" for number in range(len(findings))]
            named = [row | {"batch": batch} for row in findings]
            self._loop.records.append(FINDINGS, named, ids)
        tries = self._tries.get(ref.path, 0)
        ids = [
            f"{self._run_id}:{ref.path}:{row['purpose']}:{tries}:{number}"
            for number, row in enumerate(rows)
        ]
        self._loop.records.append(REVIEWS, [row | {"batch": batch} for row in rows], ids)

    def _finding(self, one: Tracked, sign: Sign) -> dict[str, Any]:
        return finding_row(one, sign) | {
            "time": self._now(),
            "repository": self._loop.repository,
            "bar": self._loop.bar.id,
            "run_id": self._run_id,
            "iteration": self._iteration,
        }

    def _record_gone(self) -> None:
        """Files that the revision does not have any more take their findings with them."""
        for path, known in sorted(self._memory.files.items()):
            if self._loop.files.has(path):
                continue
            rows = [self._finding(one, sign) | {"batch": ""} for one, sign in gone(known)]
            if rows:
                ids = [f"{self._run_id}:{path}:gone:{row['finding_id']}" for row in rows]
                self._loop.records.append(FINDINGS, rows, ids)

    def _chosen_again(self, plan: Plan) -> frozenset[str]:
        """Files that are reviewed twice: the same ones whenever this run is run."""
        lacking = max(0, self._settings.floor_pairs - len(self._memory.pairs))
        named = {
            ref.path: f"{self._run_id}\0{ref.path}".encode(errors="replace") for ref in plan.files
        }
        order = sorted(named, key=lambda path: hashlib.sha256(named[path]).digest())
        return frozenset(order[: min(self._settings.again, lacking)])

    def _now(self) -> datetime:
        return self._loop.now()

    def _result(self, plan: Plan, failed: Mapping[str, str]) -> RunResult:
        # Read once: of a long history it takes longer than all else here.
        reviews, signs = self._loop.rows(REVIEWS), self._loop.rows(FINDINGS)
        memory = self._loop.replayed(reviews, signs)
        rows = [row for row in reviews if row["run_id"] == self._run_id]
        read = [row for row in rows if row["purpose"] == REVIEW and row["outcome"] == "ok"]
        clipped = {row["path"] for row in read if row["is_clipped"]}
        outcomes = []
        for path in sorted({ref.path for ref in plan.files} | set(plan.unchanged)):
            known = memory.files.get(path) or FileMemory(path)
            listed = [(one.state, one.finding.severity) for one in known.tracked.values()]
            why = failed.get(path) or ("clipped" if path in clipped else "")
            outcomes.append(FileOutcome(path, is_whole=not why, findings=listed, why=why))
        outcomes += [FileOutcome(path, is_whole=False, why=why) for path, why in plan.unreadable]
        return RunResult(
            self._run_id,
            self._iteration,
            tuple(outcomes),
            gate(outcomes),
            reviewed=len({row["path"] for row in rows if row["outcome"] == "ok"}),
            missing=tuple(sorted(failed)),
            confirmed=sum(
                row["run_id"] == self._run_id and row["sign"] == Sign.CONFIRMED for row in signs
            ),
            cost_microusd=sum(row["cost_microusd"] for row in rows),
            memory=memory,
        )


def _signed(one: Tracked, sign: Sign, reason: str) -> Tracked:
    return replace(one, state=next_state(one.state, sign), reason=reason)


def _batch(findings: Iterable[Mapping[str, Any]]) -> str:
    """The name of some rows: the same for the same rows, whenever they were made."""
    digest = hashlib.sha256()
    for row in findings:
        told = [
            row["finding_id"],
            row["sign"],
            row["state"],
            row["path"],
            row["line"],
            row["claim"],
        ]
        digest.update("\0".join(map(str, told)).encode(errors="replace") + b"\1")
    return digest.hexdigest()[:16]
