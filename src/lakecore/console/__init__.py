"""The control plane: pages that show a lake, for people, on a port of their own.

    browser -> Host, Origin -> page or asset: the same for everybody, without data
                    |
                    +-> /session: a one-time link or a key becomes a cookie
                    +-> /api/...: cookie -> principal -> the gateway's own rooms

The console has no data of its own. Everything that a page shows is an answer of the gateway
(`docs/http.md`), asked for under ``/api`` in the name of whoever logged in, and checked by the
gateway's one guard. So nothing can be seen here that a key may not see there, and every number
on a page names the request that anybody may repeat.

=============  ==================================================================
`_app`         the application: which request goes where, and the headers of every answer
`_origins`     which Host and which Origin are ours. No I/O
`_sessions`    one-time links and cookies: who they are, how long, how many. No I/O
`_door`        /session: in and out
`_assets`      the built files, their hashes, their policy
`_settings`    bounds. Plain data
=============  ==================================================================

The pages themselves are in ``web/``; `make web` builds them into ``_assets``.

>>> from lakecore.console import ConsoleSettings, Origins
>>> Origins(ConsoleSettings(), port=3950).is_host("localhost:3950")
True
>>> Origins(ConsoleSettings(), port=3950).is_host("lake.example:3950")  # DNS rebinding
False
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakecore.base.lazy import lazy_exports
from lakecore.console._origins import Origins
from lakecore.console._settings import ConsoleSettings

if TYPE_CHECKING:
    from lakecore.console._app import Console, Inside
    from lakecore.console._assets import Assets
    from lakecore.console._door import Door
    from lakecore.console._sessions import Sessions

_HOME = {
    "Assets": "_assets",
    "Console": "_app",
    "Door": "_door",
    "Inside": "_app",
    "Sessions": "_sessions",
}

__all__ = ["Assets", "Console", "ConsoleSettings", "Door", "Inside", "Origins", "Sessions"]

__getattr__ = lazy_exports(__name__, _HOME)


def __dir__() -> list[str]:
    return sorted(__all__)
