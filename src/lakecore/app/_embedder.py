"""The embedder of a lake, as its settings say: imported when somebody searches."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from lakecore.base import InvalidInput

if TYPE_CHECKING:
    from lakecore.config import EmbeddingSettings
    from lakecore.embeddings import CachedEmbedder, Embedder


def make_embedder(given: EmbeddingSettings, state_dir: Path) -> CachedEmbedder:
    """The provider of `[search]`, with its cache in the state directory.

    Raises:
        InvalidInput: a setting is missing or cannot be.
        Stop: the extra ``search`` is not installed.
        As `Embedder.embed`: an endpoint that has to be asked for its dimension.
    """
    from lakecore.embeddings import CachedEmbedder

    return CachedEmbedder(_provider(given), state_dir, max_bytes=given.embedding_cache_bytes)


def _provider(given: EmbeddingSettings) -> Embedder:
    from lakecore.embeddings import EndpointEmbedder, LocalEmbedder

    if given.provider == "local":
        return LocalEmbedder(threads=given.threads, batch=given.batch_texts)
    for name in ("base_url", "model"):
        if not getattr(given, name):
            raise InvalidInput(
                f"an endpoint needs {name}", where="[search]", hint="see docs/embeddings.md"
            )
    return EndpointEmbedder(
        given.base_url,
        given.model,
        api_key=_key(given.api_key_env),
        dimension=given.dimension or None,
        ask_dimension=given.ask_dimension,
        batch=given.batch_texts,
        timeout_s=given.timeout_s,
        retries=given.retries,
    )


def _key(variable: str) -> str | None:
    key = os.environ.get(variable) if variable else None
    if variable and not key:
        raise InvalidInput(
            "the variable that has the endpoint's key is not set",
            expected=variable,
            where="[search] api_key_env",
        )
    return key
