"""A lake over HTTP, by the calls of `lakecore.open`, their results and their errors.

    Client --> Connection: the key, time, tries --> a gateway
      |                       |
      |                       +-- a problem --> the error that the lake itself would raise
      +-- JSON, Arrow, events --> the classes that the lake itself answers with

A change has an Idempotency-Key, its own or the caller's, that is kept over all tries: however
often it has to be sent, it is made once.

==================  ==================================================================
`_client`           the face
`_changes`          changes of rows: of the lake and of a workspace
`_reading`          queries, histories, datasets: of both, too
`_registering`      datasets as a whole: created, altered, renamed, dropped
`_journal`, `_tail` the journal; sealed events as they come
`_faces`            rules, API keys, workspaces
`_http`             requests: the key, time, tries
`_errors`           problems as errors (pure)
`_results`          JSON as results (pure)
`_arrow`            rows as Arrow streams, out and in
==================  ==================================================================

>>> import threading, lakecore
>>> from lakecore.app import open_gateway
>>> lake = lakecore.open("memory://", actor="ada")
>>> gateway = open_gateway(lake, port=0)
>>> server = threading.Thread(target=gateway.run)
>>> server.start()
>>> _ = lake.create("planes", key=["tailnum"])
>>> with lakecore.Client(gateway.url) as client:
...     client.insert("planes", [{"tailnum": "N1", "seats": 55}]).inserted
...     client.sql("select seats from planes").to_pylist()
...     client.history("planes", "N1")[0].actor
1
[{'seats': 55}]
'ada'
>>> gateway.stop(); server.join(); lake.close()
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakecore.base.lazy import lazy_exports

if TYPE_CHECKING:
    from lakecore.client._client import Client
    from lakecore.client._faces import ClientKeys, ClientTruth, ClientWorkspace
    from lakecore.client._journal import ClientJournal
    from lakecore.client._results import Check, Judged, Verified
    from lakecore.client._tail import HttpTail

_HOME = {
    "Check": "_results",
    "Client": "_client",
    "ClientJournal": "_journal",
    "ClientKeys": "_faces",
    "ClientTruth": "_faces",
    "ClientWorkspace": "_faces",
    "HttpTail": "_tail",
    "Judged": "_results",
    "Verified": "_results",
}

__all__ = [
    "Check",
    "Client",
    "ClientJournal",
    "ClientKeys",
    "ClientTruth",
    "ClientWorkspace",
    "HttpTail",
    "Judged",
    "Verified",
]

# httpx is imported by who asks a gateway, not by who mentions this package.
__getattr__ = lazy_exports(__name__, _HOME)


def __dir__() -> list[str]:
    return sorted(__all__)
