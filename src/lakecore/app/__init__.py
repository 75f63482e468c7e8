"""The composition root: a lake is opened here, and its parts are joined here.

`open_lake` reads the settings, opens the store, makes the lake when there is none, and
joins journal, documents, catalog, tables and query. `Lake` is the one face over them that
Python, the command line and the servers share.

    lakecore.open(uri) -> open_lake -> Components (who knows whom) -> Lake (what one can do)

>>> from lakecore.app import open_lake
>>> with open_lake("memory://", actor="ada") as lake:
...     lake.create("notes", key=["id"]).name, lake.verify().status
('notes', 'green')
"""

from typing import TYPE_CHECKING

from lakecore.app._backup import backups_at, create_backup, restore_backup, verify_backups
from lakecore.app._beside import check_settings, logging_to
from lakecore.app._bucket_face import BucketState
from lakecore.app._checks import Check, DoctorReport, Finding, VerifyReport
from lakecore.app._enforced import Enforced
from lakecore.app._lake import Lake
from lakecore.app._mcp import serve_mcp
from lakecore.app._open import open_lake, system_user
from lakecore.app._serve import LakeGateway, open_gateway
from lakecore.app._serving import Served
from lakecore.base.lazy import lazy_exports

if TYPE_CHECKING:
    from lakecore.app._audit import open_audit, send_audit_status
    from lakecore.app._doubts import LadderDoubter
    from lakecore.app._review_canary import CanaryResult, make_canaries, run_canaries

# Who opens a lake does not need to read repositories.
_HOME = {
    **dict.fromkeys(("open_audit", "send_audit_status"), "_audit"),
    "LadderDoubter": "_doubts",
    **dict.fromkeys(("CanaryResult", "make_canaries", "run_canaries"), "_review_canary"),
}
__getattr__ = lazy_exports(__name__, _HOME)

__all__ = [
    "BucketState",
    "CanaryResult",
    "Check",
    "DoctorReport",
    "Enforced",
    "Finding",
    "LadderDoubter",
    "Lake",
    "LakeGateway",
    "Served",
    "VerifyReport",
    "backups_at",
    "check_settings",
    "create_backup",
    "logging_to",
    "make_canaries",
    "open_audit",
    "open_gateway",
    "open_lake",
    "restore_backup",
    "run_canaries",
    "send_audit_status",
    "serve_mcp",
    "system_user",
    "verify_backups",
]
