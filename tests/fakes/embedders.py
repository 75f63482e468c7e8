"""An embedder that computes nothing, counts what it is asked, and breaks where a test wants it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lakecore.embeddings._endpoint import PROBE
from lakecore.embeddings._texts import unit_rows


class CountingEmbedder:
    """Some direction that a text alone decides about; `turn` is another model of the same name.

    Attributes:
        asked: the texts, but for the known one that the cache asks for.
        fail_after: texts after which a call is interrupted.
    """

    def __init__(self, name: str = "m@1", dimension: int = 8, *, turn: float = 0.0) -> None:
        self.name = name
        self.dimension = dimension
        self.turn = turn
        self.asked: list[str] = []
        self.fail_after = 1 << 30

    def embed(self, texts: Sequence[str]) -> Any:
        """A row for each text."""
        if len(self.asked) > self.fail_after:
            raise KeyboardInterrupt
        self.asked += [text for text in texts if text != PROBE]
        seeds = [int.from_bytes(text.encode()[:12], "big") % 2**32 for text in texts]
        return unit_rows(
            [np.random.default_rng(seed).normal(size=self.dimension) + self.turn for seed in seeds],
            "test",
        )
