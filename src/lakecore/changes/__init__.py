"""The path of a change: the rules are asked, the tier decides, people approve.

    asked for (`Changes`) --> tables plan it --> the gate: rules + gradient + what was asked for
                                                   |          |            |
                                                 commit      hold        refuse
                                                   |          |            |
                              the commit carries its   `pending/…` and   an event
                              decision                 a document
                                                          |
                                    `Approvals`: the same change again, or shown again

==============  ======================================================================
`_changes`      a change as it is asked for; keeping what has to wait
`_gate`         the judge of each attempt (`Gate` of the tables)
`_asking`       rules asked about rows as they stream; `_spool`: rows kept for a while
`_decided`      what was decided, for its author, the journal and the commit
`_approvals`    approving and rejecting; `_compare`: what differs from what was shown
`_pending`      the documents of changes that wait; `_kept`: their rows and diffs
`_arguments`    arguments of a change as JSON
`_rules`        the rules' document
`_ingesting`    the tables as an ingest sees them
`_principal`    who asks, as rules see them
`_views`        `system.pending`, `system.decisions`, `system.mutations`
`_ports`        workspaces as changes need them; settings and results
==============  ======================================================================

A change is committed with its decision in the commit's record (`context.decision`); one that
is refused or held is one event of entity type ``decision``, durable before its author hears
of it. What waits was never committed: nothing of it is in the table or among its events.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakecore.base.lazy import lazy_exports

if TYPE_CHECKING:
    from lakecore.changes._approvals import Approvals
    from lakecore.changes._changes import Changes
    from lakecore.changes._decided import Decided, sample_text
    from lakecore.changes._gate import RuleGate
    from lakecore.changes._ingesting import IngestTables
    from lakecore.changes._kept import read_page
    from lakecore.changes._pending import Pending, Pendings
    from lakecore.changes._ports import (
        ChangeParts,
        ChangeResult,
        ChangeSettings,
        Derive,
        Simulation,
        Simulator,
    )
    from lakecore.changes._principal import NamedPrincipals, Principals
    from lakecore.changes._rules import Applied, Rules, RulesRefused, RulesReport, RulesVersion
    from lakecore.changes._views import decisions_table, mutations_table, pending_table

_HOME = {
    "Applied": "_rules",
    "Approvals": "_approvals",
    "ChangeResult": "_ports",
    "ChangeParts": "_ports",
    "ChangeSettings": "_ports",
    "Changes": "_changes",
    "Decided": "_decided",
    "Derive": "_ports",
    "IngestTables": "_ingesting",
    "NamedPrincipals": "_principal",
    "Pending": "_pending",
    "Pendings": "_pending",
    "Principals": "_principal",
    "RuleGate": "_gate",
    "Rules": "_rules",
    "RulesRefused": "_rules",
    "RulesReport": "_rules",
    "RulesVersion": "_rules",
    "Simulation": "_ports",
    "Simulator": "_ports",
    "decisions_table": "_views",
    "mutations_table": "_views",
    "pending_table": "_views",
    "read_page": "_kept",
    "sample_text": "_decided",
}

__all__ = [
    "Applied",
    "Approvals",
    "ChangeParts",
    "ChangeResult",
    "ChangeSettings",
    "Changes",
    "Decided",
    "Derive",
    "IngestTables",
    "NamedPrincipals",
    "Pending",
    "Pendings",
    "Principals",
    "RuleGate",
    "Rules",
    "RulesRefused",
    "RulesReport",
    "RulesVersion",
    "Simulation",
    "Simulator",
    "decisions_table",
    "mutations_table",
    "pending_table",
    "read_page",
    "sample_text",
]

# Arrow is imported by who changes something, not by who mentions changes.
__getattr__ = lazy_exports(__name__, _HOME)
