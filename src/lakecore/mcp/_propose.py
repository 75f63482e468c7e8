"""propose_change: planned and judged first, then approved by a person, or left to wait.

    proposed --> a dry run: exact diff, the rules' decision; refused ones end here, on record
                    |
               it waits (`pending`)
                    |
        can a person at this client be asked, and may they approve it?
             no |                         | yes: the question shows the diff
                |                yes      |     no            nothing said
             waiting         committed    |  rejected         waiting

Whose yes counts: where the rules let the change pass, it waits only because it came through
this door, and the caller's own name is enough. Where they demand an approval, the answer counts
as the approver's: of the second key that the client was given, or of the person who started
this process on their own lake. Without one nobody is asked, and the change waits.

The client sees to it that a person answers, and not the model: Lakecore cannot tell them apart.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lakecore.auth import Principal, authorize, may
from lakecore.base import Conflict, InvalidInput, uuid8
from lakecore.mcp._answers import Found
from lakecore.mcp._desk import SOURCE
from lakecore.mcp._limits import SHOWN_CHANGES
from lakecore.mcp._question import Word, question
from lakecore.mcp._read import diff, shown

if TYPE_CHECKING:
    from lakecore.mcp._arguments import Proposal
    from lakecore.mcp._desk import Desk

_NOBODY_ASKED: Final = (
    "It waits for an approval by somebody else; nothing is changed yet. "
    "`pending` with its id tells what became of it. Do not propose it again."
)


@dataclass(frozen=True, slots=True)
class Shown:
    """A change that a person is asked about: which, and which state of it they were shown."""

    id: str
    digest: str

    def to_text(self) -> str:
        """For the client to bring back; it is sealed on the way."""
        return json.dumps({"id": self.id, "digest": self.digest})

    @classmethod
    def of_text(cls, text: str) -> Shown:
        """As `to_text` wrote it. Raises `InvalidInput`."""
        try:
            found = json.loads(text)
            return cls(str(found["id"]), str(found["digest"]))
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidInput("not a state of a proposal") from error


def propose(desk: Desk, given: Proposal) -> Any | None:
    """Make a dry run of the change, which then waits; None: there is nothing to change.

    Raises:
        Refused: the visitor may not, or the rules say no; that is on record.
    """
    lake = desk.lake("write", given.dataset)
    rows, named = given.call()
    key = given.idempotency_key
    result = getattr(lake, given.op)(
        given.dataset,
        *rows,
        **named,
        reason=given.reason,
        source=SOURCE,
        tier="dry_run",
        mutation_id=None if key is None else uuid8("mcp", desk.principal.name, key),
    )
    return desk.pending(result.mutation_id) if result.held else None


def who_approves(desk: Desk, one: Any) -> Principal | None:
    """In whose name a person's yes at the client would count; None: it would not."""
    if one.decision["demanded"] == "auto":
        return desk.principal
    approver = desk.visitor.approver
    if approver is None or not may(approver, "approve", one.dataset):
        return None
    wanted = one.decision["approval"]
    if wanted.get("by", "another") == "another" and approver.name == one.author.actor:
        return None
    roles = set(wanted.get("roles") or ())
    return None if roles and not roles & set(approver.roles) else approver


def ask(desk: Desk, one: Any) -> str | None:
    """The question to a person; None: nobody at this client can say yes to it."""
    approver = who_approves(desk, one)
    if approver is None or not desk.may("read", one.dataset):
        return None  # the question passes the visitor's client: it shows no more than they may see
    table = desk.looking().pending_diff(one.id, limit=SHOWN_CHANGES + 1)
    return question(shown(one), table.to_pylist(), approver=approver.name)


def decide(desk: Desk, seen: Shown, word: Word) -> Found:
    """Carry out what the person said.

    Raises:
        Refused, Conflict: it is not what they were shown any more, or they may not.
    """
    one = desk.pending(seen.id)
    if word.said == "nothing":
        return waiting(desk, one)
    approver = who_approves(desk, one)
    if one.body["digest"] != seen.digest:
        raise Conflict(
            "the change was shown again meanwhile, with another diff",
            where=one.id,
            hint="a person has to look at it again",
        )
    if approver is None:
        return waiting(desk, one)
    if approver != desk.principal:
        authorize(approver, "approve", one.dataset)
    lake = desk.as_(approver)
    told = f"at the client of {desk.principal.name}"
    if word.said == "no":
        reason = word.comment or f"declined {told}"
        rejected = lake.reject(one.id, reason, source=_source(approver))
        return Found(
            "A person said no: the change is rejected. Do not propose it again as it is.",
            {"change": shown(rejected)},
            told={"id": one.id, "state": rejected.state},
        )
    reason = word.comment or f"accepted {told}"
    result = lake.approve(one.id, source=_source(approver), reason=reason)
    counts = {
        name: getattr(result, name) for name in ("inserted", "updated", "deleted", "unchanged")
    }
    return Found(
        f"A person said yes: the change is made, as version {result.version}.",
        {"id": one.id, "dataset": result.dataset, "counts": counts, "approved_by": approver.name},
        told={"id": one.id, "state": "committed", "version": result.version},
    )


def waiting(desk: Desk, one: Any) -> Found:
    """What the visitor sees of their change that waits: its exact diff, and why it waits."""
    lines, is_cut = diff(desk, one)
    told = {"id": one.id, "state": one.state}
    return Found(_NOBODY_ASKED, {"change": shown(one)}, lines, is_cut, told)


def unchanged() -> Found:
    """Nothing to propose."""
    return Found(
        "There is nothing to change: the rows are so already, or none is meant.",
        told={"state": "unchanged"},
    )


def _source(principal: Principal) -> str:
    """Who has no key is known by name and source: a person is no agent for using this door."""
    return SOURCE if principal.key_id or principal.kind == "agent" else "api"
