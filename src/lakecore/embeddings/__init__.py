"""Embeddings: texts as vectors, by a local model or by an endpoint of one's own.

>>> from lakecore.embeddings import LocalEmbedder
>>> embedder = LocalEmbedder()
>>> vectors = embedder.embed(["a plane lands", "an aircraft touches down", "a recipe for soup"])
>>> vectors.shape, embedder.dimension
((3, 384), 384)
>>> bool(vectors[0] @ vectors[1] > vectors[0] @ vectors[2])
True
"""

from lakecore.embeddings._local import LocalEmbedder

__all__ = ["LocalEmbedder"]
