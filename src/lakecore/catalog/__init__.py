"""Which datasets exist: their names, keys, places, contracts and owners.

One document per name (`documents/datasets/<name>/`). Registering, changing, renaming and
dropping are changes of that document, hence journaled, create-only, and safe between
processes. A name can be used again after a drop; a `dataset_id` never is.

Renaming has one commit point, the old name's next version ("renamed to b"); the new
name's document follows. A process that dies between the two leaves a rename that every
reader already sees as done and that the next change of either name completes.

Moving a table to another place goes over the same document: that it is being copied, then where
it is. The place that it left is remembered, with its last version, for as long as the journal
has to be held against it.

>>> from pathlib import Path; from tempfile import mkdtemp
>>> from lakecore.catalog import Catalog
>>> from lakecore.documents import Documents
>>> from lakecore.journal import Author, Journal
>>> from lakecore.storage import open_store
>>> store = open_store("memory://")
>>> catalog = Catalog(Documents(store, Journal.open(store, Path(mkdtemp()))))
>>> planes = catalog.propose("planes", key=["tailnum"], entity_type="plane")
>>> catalog.register(planes, author=Author(actor="ada")).location
'tables/main/planes'
>>> [dataset.name for dataset in catalog.list_datasets()]
['planes']
"""

from lakecore.catalog._catalog import Catalog
from lakecore.catalog._dataset import (
    CONTRACTS,
    Dataset,
    FormerPlace,
    State,
    check_dataset_name,
    split_name,
)

__all__ = [
    "CONTRACTS",
    "Catalog",
    "Dataset",
    "FormerPlace",
    "State",
    "check_dataset_name",
    "split_name",
]
