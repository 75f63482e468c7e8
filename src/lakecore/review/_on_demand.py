"""Claimed fixes, confirmed when somebody asks: looks, a test where there is one, and the rows.

For each file with a claim:

1. the text is that of the reviewed revision, and the one that the claim was made about
2. look    blind, as in a run; where a test is asked for and shows nothing, nobody is asked
3. record  the looks (`system.reviews`), what was decided and on what (`system.confirmations`),
           then the finding's sign (`system.findings`): with that it is decided

Crash window: looks and a decision without a sign. Then the claim is open as before, and the next
time it is looked at anew. `decided_again` makes the verdict out of the rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from lakecore.base import InvalidInput, NotFound
from lakecore.code import SourceKind
from lakecore.review._confirm import BlindReview, Confirmation, FixTest, Verdict, confirm
from lakecore.review._confirming import Confirmed, confirm_claims
from lakecore.review._examine import Text
from lakecore.review._fix_test import FixTestRun
from lakecore.review._make import finding_row, review_row
from lakecore.review._memory import Memory, Tracked
from lakecore.review._noise import Noise
from lakecore.review._rows import BLIND, FINDINGS, REVIEWS
from lakecore.review._state import OPEN, Sign, State, next_state

if TYPE_CHECKING:
    import pyarrow as pa

    from lakecore.review._loop import Loop

CONFIRMATIONS: Final = "confirmations"
_SIGNS: Final = {Verdict.CONFIRMED: Sign.CONFIRMED, Verdict.REFUTED: Sign.REFUTED}


@dataclass(frozen=True, slots=True)
class Decided:
    """What came of one claim.

    Attributes:
        finding: as it stands now.
        looks: blind reviews that were made.
    """

    finding: Tracked
    confirmation: Confirmation
    looks: int = 0
    test: FixTestRun | None = None


def claims_of(memory: Memory, finding: str = "") -> list[Tracked]:
    """The claims of a repository, or the one whose id begins so.

    Raises:
        NotFound: no finding, or several, are called that.
        InvalidInput: it is not claimed to be fixed.
    """
    every = [one for known in memory.files.values() for one in known.tracked.values()]
    if not finding:
        claimed = [one for one in every if one.state is State.CLAIMED_FIXED]
        return sorted(claimed, key=lambda one: (one.finding.path, one.id))
    meant = [one for one in every if one.id.startswith(finding)]
    if len(meant) != 1:
        raise NotFound(
            "no finding, or several, are called that", found=f"{finding[:80]}: {len(meant)}"
        )
    if meant[0].state is not State.CLAIMED_FIXED:
        raise InvalidInput(
            "only what is claimed to be fixed can be confirmed",
            expected=State.CLAIMED_FIXED.value,
            found=meant[0].state.value,
            where=meant[0].id,
        )
    return meant


def last_open_revision(
    reviews: Iterable[Mapping[str, Any]], findings: Iterable[Mapping[str, Any]], finding_id: str
) -> str | None:
    """The last reviewed revision in which a finding was there, open and not claimed to be fixed."""
    revisions = {row["run_id"]: row["revision"] for row in reviews}
    there = OPEN - {State.CLAIMED_FIXED}
    mine = [row for row in findings if row["finding_id"] == finding_id]
    for row in sorted(mine, key=lambda row: (row["iteration"], row["time"]), reverse=True):
        if row["state"] in there and row["run_id"] in revisions:
            return str(revisions[row["run_id"]])
    return None


def confirm_on_demand(
    loop: Loop,
    memory: Memory,
    claims: Sequence[Tracked],
    *,
    run_id: str,
    who: str,
    test: FixTestRun | None = None,
) -> list[Decided]:
    """Look at claims, decide, record.

    Args:
        loop: over the files of the claims, at the revision that `memory` is of.
        test: of the only claim.
    """
    by_path: dict[str, list[Tracked]] = {}
    for one in claims:
        by_path.setdefault(one.finding.path, []).append(one)
    desk = _Desk(loop, memory, run_id, who, test)
    with ThreadPoolExecutor(loop.settings.workers, thread_name_prefix="lakecore-confirm") as pool:
        return [one for found in pool.map(desk.file, by_path.values()) for one in found]


class _Desk:
    """One call of `confirm_on_demand`."""

    def __init__(
        self, loop: Loop, memory: Memory, run_id: str, who: str, test: FixTestRun | None
    ) -> None:
        self._loop = loop
        self._memory = memory
        self._run_id = run_id
        self._who = who
        self._test = test
        self._noise = memory.noise
        self._refs = {ref.path: ref for ref in loop.files.listed()}

    def file(self, claims: Sequence[Tracked]) -> list[Decided]:
        """All claims of one file."""
        path = claims[0].finding.path
        confirmed = self._looked(path, claims)
        self._record_looks(path, confirmed)
        decided = []
        for one in claims:
            verdict = confirmed.verdicts[one.id]
            sign = _SIGNS.get(verdict.verdict)
            now = one
            if sign is not None:
                now = replace(one, state=next_state(one.state, sign), reason=verdict.reason)
            self._record(now, verdict, confirmed, sign)
            decided.append(Decided(now, verdict, len(confirmed.looks), self._test))
        return decided

    def _looked(self, path: str, claims: Sequence[Tracked]) -> Confirmed:
        ref = self._refs.get(path)
        if self._test is not None and self._test.result is None:
            return _undecided(claims, f"its test shows nothing: {self._test.reason}")
        if ref is None or ref.blob != self._memory.file(path).blob:
            return _undecided(claims, "the file was not reviewed as it is: review it first")
        source = self._loop.files.source(ref)
        if source.kind is not SourceKind.TEXT:
            return _undecided(claims, f"the file cannot be reviewed: {source.kind.value}")
        found = confirm_claims(
            claims,
            Text(path, source.text, source.language),
            self._loop.bar,
            self._loop.models,
            self._noise,
            call_id=f"{self._run_id}:{path}:blind",
            max_tokens=self._loop.settings.max_tokens,
            tests=self._tests(claims),
            min_families=self._loop.settings.min_families,
        )
        last = found.looks[-1].examined.outcome if found.looks else "ok"
        if last == "ok":
            return found
        said = {
            id_: replace(one, reason=f"{one.reason}; the last look: {last}")
            if one.verdict is Verdict.INCONCLUSIVE
            else one
            for id_, one in found.verdicts.items()
        }
        return Confirmed(said, found.looks)

    def _tests(self, claims: Sequence[Tracked]) -> dict[str, FixTest]:
        result = None if self._test is None else self._test.result
        return {} if result is None else {claims[0].id: result}

    # -- rows -------------------------------------------------------------------------

    def _common(self) -> dict[str, Any]:
        return {
            "time": self._loop.now(),
            "repository": self._loop.repository,
            "bar": self._loop.bar.id,
            "run_id": self._run_id,
            "iteration": self._memory.iteration,
        }

    def _record_looks(self, path: str, confirmed: Confirmed) -> None:
        if not confirmed.looks:
            return
        rows = [
            review_row(look.examined, None, self._loop.trust)
            | self._common()
            | {
                "revision": self._memory.revision,
                "path": path,
                "renamed_from": None,
                "blob": self._refs[path].blob,
                "purpose": BLIND,
                "is_changed": False,
                "found": sorted(look.found),
                "touched": [],
                "control_found": look.control_found,
                "batch": "",
            }
            for look in confirmed.looks
        ]
        ids = [f"{self._run_id}:{path}:{BLIND}:{number}" for number in range(len(rows))]
        self._loop.records.append(REVIEWS, rows, ids)

    def _record(
        self, now: Tracked, verdict: Confirmation, confirmed: Confirmed, sign: Sign | None
    ) -> None:
        row = self._common() | {
            "revision": self._memory.revision,
            "finding_id": now.id,
            "path": now.finding.path,
            "verdict": verdict.verdict.value,
            "reason": verdict.reason,
            "missing": verdict.missing,
            "looks": len(confirmed.looks),
            "redetection": None if self._noise is None else self._noise.redetection,
            "noise_pairs": 0 if self._noise is None else self._noise.pairs,
            "min_families": self._loop.settings.min_families,
            "who": self._who,
        }
        row |= _test_columns(self._test)
        ids = [f"{self._run_id}:{now.id}"]
        self._loop.records.append(CONFIRMATIONS, [row], ids)
        if sign is not None:
            signed = finding_row(now, sign) | self._common() | {"batch": ""}
            self._loop.records.append(FINDINGS, [signed], ids)


def _undecided(claims: Sequence[Tracked], reason: str) -> Confirmed:
    open_ = Confirmation(Verdict.INCONCLUSIVE, reason)
    return Confirmed({one.id: open_ for one in claims}, ())


def _test_columns(test: FixTestRun | None) -> dict[str, Any]:
    if test is None:
        return {}
    body = test.to_body()
    columns = {"command": body["command"], "test_reason": body["reason"]}
    for side in ("before", "after"):
        columns[f"{side}_revision"] = body[f"{side}_revision"]
        columns |= {f"{side}_{name}": value for name, value in (body[side] or {}).items()}
    return columns


def confirmations_schema() -> pa.Schema:
    """One row for each decision that somebody asked for, and what it rests on."""
    import pyarrow as pa

    text, whole = pa.string(), pa.int64()
    sides = [
        column
        for name in ("before", "after")
        for column in (
            (f"{name}_revision", text),
            (f"{name}_ran", text),
            (f"{name}_exit_code", whole),
            (f"{name}_output", text),
        )
    ]
    return pa.schema(
        [
            ("time", pa.timestamp("us", "UTC")),
            ("repository", text),
            ("bar", text),
            ("run_id", text),
            ("iteration", whole),
            ("revision", text),
            ("finding_id", text),
            ("path", text),
            ("verdict", text),
            ("reason", text),
            ("missing", whole),
            ("looks", whole),
            ("redetection", pa.float64()),
            ("noise_pairs", whole),
            ("min_families", whole),
            ("who", text),
            ("command", pa.list_(text)),
            ("test_reason", text),
            *sides,
        ]
    )


def decided_again(row: Mapping[str, Any], reviews: Iterable[Mapping[str, Any]]) -> Confirmation:
    """The decision of a row of `system.confirmations`, made anew out of what it rests on.

    Args:
        reviews: rows of `system.reviews`; those of this run and file are taken.
    """
    test = None
    if row.get("command"):
        if row["test_reason"]:
            return Confirmation(Verdict.INCONCLUSIVE, row["test_reason"])
        test = FixTest(row["before_ran"] == "failed", row["after_ran"] == "passed")
    mine = [
        one
        for one in reviews
        if (one["run_id"], one["path"], one["purpose"]) == (row["run_id"], row["path"], BLIND)
    ]
    floor = row["redetection"]
    noise = None if floor is None else Noise(0.0, 0.0, 0.0, floor, row["noise_pairs"])
    return confirm(
        code_changed=True,
        reviews=[
            BlindReview(
                one["family"],
                row["finding_id"] in one["found"],
                bool(one["control_found"]),
                is_whole=one["outcome"] == "ok" and not one["is_clipped"],
            )
            for one in mine
        ],
        noise=noise,
        test=test,
        min_families=row["min_families"],
    )
