"""What looks wrong with a rule set before it is used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lakecore.truth._rule import Severity


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that somebody should look at.

    Kinds: ``contradiction``, ``duplicate``, ``never_fires``, ``denies_everything``,
    ``untested``, ``unknown_path``, ``not_comparable``, ``unknown_task_class``, ``no_dataset``;
    of tiers ``never_matches``, ``bounds_decrease``.
    """

    kind: str
    severity: Severity
    rules: tuple[str, ...]
    """Ids of the rules concerned; none where it is the rule set itself."""

    message: str
    path: str = ""
    """In the contexts, where it is about one."""

    nearest: tuple[str, ...] = ()
    """Names that may have been meant."""

    def to_dict(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "severity": self.severity.value,
            "rules": list(self.rules),
            "message": self.message,
            "path": self.path,
            "nearest": list(self.nearest),
        }
