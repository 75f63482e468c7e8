"""The client has the calls of the lake and their arguments; what it has not is named here."""

from __future__ import annotations

import inspect

import pytest

from lakecore.app import Lake
from lakecore.app._workspaces import LakeWorkspace
from lakecore.client import Client, ClientWorkspace

NOT_SERVED = {
    *("actor", "lake_id"),  # the key says who, `status` which lake
    *("archive_journal", "doctor", "forget_verified"),  # for who is at the lake's machine
    *("agent_run", "agent_runs", "agent_steps", "cancel_agent", "new_agent_run", "resume_agent"),
    *("agent_spent", "budget_left"),
    *("run_agent", "start_agent", "ladder", "usage", "observe", "observer", "reviews", "webhooks"),
    "change",  # of a workspace: what its other calls are made of
    *("buckets", "cancel_move", "move", "replicas", "replicate"),  # as doctor
    *("last_served", "served"),  # the answers themselves say it
    *("mutated", "undo"),  # what the gateway asks
}
THE_KEYS = {"actor", "source", "options", "limits", "progress"}
"""Who and by what is the key's to say; options are named one by one; progress stays here."""
NOT_SENT = {
    "history": {"workspace_id"},
    "pending_diff": {"offset"},
    "revert": {"dataset", "version"},
    "verify": {"vkeys"},
}


def public(thing: object) -> set[str]:
    """Its names."""
    return {name for name in dir(thing) if not name.startswith("_")}


@pytest.mark.parametrize(("lake", "client"), [(Lake, Client), (LakeWorkspace, ClientWorkspace)])
def test_every_call_is_there_with_its_arguments(lake: type, client: type) -> None:
    """In the same order where they go by place."""
    own = {"name", "workspace_id", "journal", "truth", "keys", "index"}  # attributes of its objects
    missing = public(lake) - public(client) - own
    assert missing <= NOT_SERVED
    for name in sorted(public(lake) & public(client)):
        if not inspect.isfunction(getattr(lake, name)):
            continue
        theirs, ours = (inspect.signature(getattr(one, name)).parameters for one in (lake, client))
        left_out = set(theirs) - set(ours) - THE_KEYS
        assert left_out == NOT_SENT.get(name, set()) & set(theirs), name
        placed = [
            [one.name for one in of.values() if one.kind is one.POSITIONAL_OR_KEYWORD]
            for of in (theirs, ours)
        ]
        assert placed[0] == placed[1], name


def test_what_is_named_as_not_served_is_not() -> None:
    """The list has nothing that is there by now."""
    assert public(Client) & NOT_SERVED == set()
    assert public(Lake) | public(LakeWorkspace) >= NOT_SERVED
