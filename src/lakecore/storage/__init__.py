"""Objects under a URL: on a disk, in memory, on S3, Google Cloud Storage or Azure.

Everything Lakecore keeps is an object, and everything it changes rests on one
primitive: create an object if there is none of its name (`Store.create`). The
adapters promise the same and pass the same tests:

- `_port`: the promise, `Store` and `ObjectInfo`;
- `_paths`, `_url`: what a path and a URL may look like; no I/O;
- `_local`: a directory; every write is fsynced, create-only by hard link;
- `_memory`: a private directory that goes with its store;
- `_remote`: buckets, through obstore;
- `_copy`: an object from one store to another, checked;
- `_probe`: does a store keep the promise? Some look-alikes of S3 do not;
- `_mounted`: several buckets as one store, below ``buckets/<name>/``;
- `_credentials`, `_refreshing`: credentials by reference, read anew when they end;
- `_guarded`: a store that is read, and never written; `_breaker`: does it answer?

>>> from lakecore.storage import open_store
>>> store = open_store("memory://")
>>> store.create("notes/1.txt", b"first")
>>> store.create("notes/1.txt", b"second")
Traceback (most recent call last):
...
lakecore.base.errors.AlreadyExists: the name is taken at notes/1.txt
>>> store.get_range("notes/1.txt", -3, 3)
b'rst'
>>> [found.path for found in store.list_objects("notes/")]
['notes/1.txt']
>>> store.close()
"""

from lakecore.storage._breaker import Breaker
from lakecore.storage._copy import PIECE_BYTES, copy_object, mirror_object, sha256_of
from lakecore.storage._credentials import CredentialsReference
from lakecore.storage._guarded import GuardedStore
from lakecore.storage._mounted import (
    BUCKET_MARKER,
    BUCKETS,
    MountedStore,
    Mounts,
    bucket_of,
    not_configured,
    place_in,
)
from lakecore.storage._open import open_by_reference, open_store
from lakecore.storage._port import ObjectInfo, Store
from lakecore.storage._probe import ProbeResult, probe_create_only
from lakecore.storage._remote_files import RangeReader
from lakecore.storage._url import same_place

__all__ = [
    "BUCKETS",
    "BUCKET_MARKER",
    "PIECE_BYTES",
    "Breaker",
    "CredentialsReference",
    "GuardedStore",
    "MountedStore",
    "Mounts",
    "ObjectInfo",
    "ProbeResult",
    "RangeReader",
    "Store",
    "bucket_of",
    "copy_object",
    "mirror_object",
    "not_configured",
    "open_by_reference",
    "open_store",
    "place_in",
    "probe_create_only",
    "same_place",
    "sha256_of",
]
