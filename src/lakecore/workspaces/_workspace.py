"""What a workspace is: its document, its states, where its tables lie. No I/O.

    open --> merging --> merged
      |         |
      +---------+-----> dropped

``merging`` says that datasets are being merged: what is changed from then on would be left
out, so nothing may be. It goes back to ``open`` when nothing was merged.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from lakecore.base import (
    Conflict,
    CorruptData,
    InvalidInput,
    Refused,
    UnsupportedFormat,
    uuid8,
)
from lakecore.catalog import Dataset, split_name

FORMAT: Final = 1
KIND: Final = "workspaces"
ROOT: Final = "workspaces/"
OPEN: Final = "open"
MERGING: Final = "merging"
MERGED: Final = "merged"
DROPPED: Final = "dropped"
CLOSED: Final = (MERGED, DROPPED)

_NAME: Final = re.compile(r"[a-z0-9_][a-z0-9_-]{0,99}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """A dataset as it was when the workspace was made; version -1 is one without data."""

    name: str
    dataset_id: str
    location: str
    version: int
    key: tuple[str, ...] = ()
    entity_type: str = ""
    contract: str = "evolve"

    def dataset(self) -> Dataset:
        """The dataset as it was then: its name and key may be others now."""
        return Dataset(
            name=self.name,
            dataset_id=self.dataset_id,
            location=self.location,
            key=self.key,
            entity_type=self.entity_type,
            contract=self.contract,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """One workspace as of one version of its document.

    Attributes:
        workspace_id: in events and paths: the name, and from its second use on a number.
        state: open, merging, merged or dropped.
        base: what it began with, by the dataset's name.
        branches: of a merge: which version of each branch is merged, fixed when it began.
        merged: what came of it so far: the dataset's version, None where nothing was left.
        held: datasets whose merge waits for an approval.
        former: ids of workspaces that had the name before.
        created_us, closed_us: microseconds since the epoch.
    """

    name: str
    workspace_id: str
    state: str
    base: Mapping[str, Base]
    actor: str
    reason: str = ""
    created_us: int = 0
    closed_us: int | None = None
    branches: Mapping[str, int] | None = None
    merged: Mapping[str, int | None] | None = None
    former: tuple[str, ...] = ()

    @property
    def folder(self) -> str:
        """Where its tables lie, with a slash behind it."""
        return f"{ROOT}{self.workspace_id}/"

    def branch(self, base: Base) -> Dataset:
        """A dataset as the workspace has it: a table of its own."""
        schema, rest = split_name(base.name)
        return base.dataset().with_changes(
            dataset_id=uuid8("workspace", self.workspace_id, base.dataset_id),
            location=f"{self.folder}{schema}/{rest}",
            created_us=self.created_us,
        )

    def mutation_id(self, base: Base) -> str:
        """The one mutation that merges a dataset: the same for whoever goes on with it."""
        return uuid8("merge", self.workspace_id, base.dataset_id)

    def check_open(self) -> None:
        """Raises `Conflict` while it is merged, `Refused` when it is over."""
        if self.state == OPEN:
            return
        if self.state == MERGING:
            raise Conflict(
                "the workspace is being merged",
                where=self.name,
                hint=f"end the merge first: lakecore workspace merge {self.name}",
            )
        raise Refused(
            "the workspace takes no changes any more",
            where=self.name,
            expected=OPEN,
            found=self.state,
            hint=f"make a new one: lakecore workspace create {self.name}",
        )

    def to_body(self) -> dict[str, Any]:
        """The JSON object that its document holds."""
        body = asdict(self)
        del body["name"]
        body["base"] = {
            name: {**asdict(base), "key": list(base.key)} for name, base in self.base.items()
        }
        return {"format": FORMAT, **body, "former": list(self.former)}

    @classmethod
    def from_body(cls, name: str, body: Mapping[str, Any]) -> Workspace:
        """What a document says. Members that are not known are passed over."""
        if int(body.get("format", 0)) > FORMAT:
            raise UnsupportedFormat(
                "a workspace's format is unknown",
                expected=FORMAT,
                found=body["format"],
                where=f"{KIND}/{name}",
                hint="open this lake with the Lakecore that wrote it, or a newer one",
            )
        try:
            base = {key: _base(one) for key, one in body["base"].items()}
            return cls(
                name=name,
                workspace_id=str(body["workspace_id"]),
                state=str(body["state"]),
                base=base,
                actor=str(body["actor"]),
                reason=str(body.get("reason") or ""),
                created_us=int(body["created_us"]),
                closed_us=body.get("closed_us"),
                branches=body.get("branches"),
                merged=body.get("merged"),
                former=tuple(body.get("former") or ()),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CorruptData(
                "a workspace's document lacks a part", where=f"{KIND}/{name}", found=repr(error)
            ) from error


def _base(body: Mapping[str, Any]) -> Base:
    return Base(
        name=str(body["name"]),
        dataset_id=str(body["dataset_id"]),
        location=str(body["location"]),
        version=int(body["version"]),
        key=tuple(body["key"]),
        entity_type=str(body["entity_type"]),
        contract=str(body["contract"]),
    )


def check_name(name: str) -> str:
    """The name, or `InvalidInput`. Without dots: those number the ids of names used again."""
    if not _NAME.fullmatch(name):
        raise InvalidInput(
            "not a name of a workspace",
            expected="a-z, 0-9, '_' and '-', at most 100, no '-' first",
            found=repr(name)[:120],
            hint="for example 'seats-2026'",
        )
    return name


def id_of(name: str, generation: int) -> str:
    """The id of the first, second, … workspace of that name.

    >>> id_of("fix", 0), id_of("fix", 3)
    ('fix', 'fix.3')
    """
    return f"{name}.{generation}" if generation else name
