"""Copies of a lake in another store: backups, restored as a lake of its own, and replicas.

A replica is the lake at a place of its own, brought up to date again and again: `_replicate`
says in which order, and what is there if a run is broken off. The rest is about backups, which
are incremental, checked, and restored as a lake of its own.

**What is in one.** A backup is the lake at one position of its journal: the first `tree_size`
events, every table version and document version whose events are among them, and their data
files. Not in it: this machine's state directory with the signing key (keep that key as any
other secret: see docs/backup.md), files of changes that are not committed, and what is derived
(`journal/index/`, `journal/tiles/`, a table's ``_last_checkpoint``), which makes itself again.

**Where it is.** The destination holds the backups of one lake, any number of them:

    lakecore-backup.json                  whose backups these are
    objects/<2 hex>/<sha256>              the bytes, once, whichever backups have them
    backups/<number, 20 digits>.json      a manifest: path, size and sha256 of every object

Creating the manifest is the commit point: before it there is no backup, only objects that
the next one finds and does not copy again. Objects are named by what is in them, so two
backups at a time, or one that was killed and one that goes on, cannot disagree about one.

**Why it is consistent while writers keep working.** A change goes staged events -> commit
object -> sealed events, and none of these is ever changed. We

1. list the commit objects there are (T0);
2. seal, so that the events of every commit in T0 are sealed, and take the journal's size N
   and its segments: that is the cut;
3. list the commit objects again (T1), then the data files, then the rest.

- An event below N belongs to a commit whose object was there before it was sealed: it is in T1.
- A commit object is taken if its events are below N, or if it is in T0; so no version is
  without its events. Younger ones wait for the next backup. (If a staged file is damaged, its
  version in T0 cannot be sealed: it is taken with its staged file as it is, and named.)
- Versions of a table have no gaps: one that is older than a version that is taken is taken,
  too, with its staged file if its events are not below N.
- A version's data files were written before it, so they are there in 3.
- Nothing copied is ever overwritten but segments (by compaction's stubs) and derived files:
  a size that is not the listed one, or an object that is gone, starts again from 1. What
  was copied meanwhile is not copied again, so this ends; the attempts have a bound.

>>> from pathlib import Path; from tempfile import mkdtemp
>>> from lakecore.backup import create, list_backups, restore, verify, Identity
>>> from lakecore.journal import Event, Journal
>>> from lakecore.storage import open_store
>>> lake, away, again = (open_store("memory://") for _ in range(3))
>>> lake.create("lakecore.json", b'{"format": 1, "lake_id": "a", "origin": "lakecore/a"}')
>>> with Journal.open(lake, Path(mkdtemp())) as journal:
...     _ = journal.record(Event(entity_type="job", entity_id="7", action="start"))
...     made = create(lake, journal, away)
>>> (made.number, made.tree_size, verify(away).status)
(0, 1, 'green')
>>> _ = restore(away, again, Identity("b", "lakecore/b"))
>>> with Journal.open(again, Path(mkdtemp())) as journal:
...     [(event.seq, event.action) for event in journal.recent()]
[(1, 'restore'), (0, 'start')]
"""

from lakecore.backup._create import Created, create
from lakecore.backup._manifest import Manifest, list_backups, read_manifest
from lakecore.backup._replica import REPLICA, ReplicaState, State, read_replica
from lakecore.backup._replicate import Replicated, replicate
from lakecore.backup._restore import MARKER, Identity, Restored, restore
from lakecore.backup._verify import BackupReport, verify

__all__ = [
    "MARKER",
    "REPLICA",
    "BackupReport",
    "Created",
    "Identity",
    "Manifest",
    "ReplicaState",
    "Replicated",
    "Restored",
    "State",
    "create",
    "list_backups",
    "read_manifest",
    "read_replica",
    "replicate",
    "restore",
    "verify",
]
