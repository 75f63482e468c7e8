"""What search relies on of a model: the machine's own, and the fake that tests use."""

from __future__ import annotations

import numpy as np
import pytest
from tests.fakes.search import HashEmbedder

from lakecore.embeddings import LocalEmbedder
from lakecore.search import Embedder

TEXTS = ["a plane lands", "a recipe for soup", "x", "a plane lands", "größer 飛行機"]


@pytest.fixture(params=["local", "fake"])
def embedder(request: pytest.FixtureRequest) -> Embedder:
    """One of them."""
    return LocalEmbedder() if request.param == "local" else HashEmbedder()


def test_it_keeps_its_promises(embedder: Embedder) -> None:
    """Form, type, unit length, the same for the same; nearer is what is alike; a name, a hash."""
    vectors = embedder.embed(TEXTS)
    assert vectors.shape == (len(TEXTS), embedder.dimension)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    assert vectors[0] == pytest.approx(vectors[3], abs=1e-4)
    assert embedder.embed(TEXTS[:1])[0] == pytest.approx(vectors[0], abs=0.05)
    like, unlike = embedder.embed(["the plane lands", "soup"]) @ vectors[0]
    assert like > unlike
    assert "@" in embedder.name
    assert embedder.embed([]).shape == (0, embedder.dimension)
