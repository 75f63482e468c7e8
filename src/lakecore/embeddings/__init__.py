"""Embeddings: texts as vectors, by a model on this machine or by an endpoint of one's own.

    texts -> checked -> in the cache? -> batches of like length -> model -> unit vectors, checked

`LocalEmbedder` runs a model that comes as a wheel with the extra ``search``: its file's hash is
checked when it is loaded, and nothing is ever downloaded: there is no code here that could.
`EndpointEmbedder` asks an OpenAI-compatible server. `CachedEmbedder` stands before either.

A model's `name` ends in a hash of what decides about its vectors. Vectors of one name can be
compared with each other, and with no others: an index keeps the name, a cache has a file for each.

==============  ======================================================================
`_texts`        the `Embedder` protocol; texts and vectors checked (pure)
`_batches`      which texts go together (pure)
`_pinned`       the model that was vetted: its file, hash, licence
`_local`        the local model
`_endpoint`     an endpoint; `_line`: a connection to it; `_answer`: what it said (pure)
`_cache`        vectors on disk; `_cached`: an embedder with a cache before it
==============  ======================================================================

>>> from pathlib import Path; from tempfile import mkdtemp
>>> from lakecore.embeddings import CachedEmbedder, LocalEmbedder
>>> embedder = CachedEmbedder(LocalEmbedder(threads=1), Path(mkdtemp()))
>>> vectors = embedder.embed(["a plane lands", "an aircraft touches down", "a recipe for soup"])
>>> vectors.shape, embedder.name
((3, 384), 'all-MiniLM-L6-v2-int8@35a8a4099d8eb122')
>>> bool(vectors[0] @ vectors[1] > vectors[0] @ vectors[2])
True
>>> embedder.close()
"""

from lakecore.embeddings._cached import CachedEmbedder
from lakecore.embeddings._endpoint import EndpointEmbedder
from lakecore.embeddings._local import LocalEmbedder
from lakecore.embeddings._texts import Embedder

__all__ = ["CachedEmbedder", "Embedder", "EndpointEmbedder", "LocalEmbedder"]
