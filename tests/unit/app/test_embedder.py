"""The embedder that `[search]` says."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.fakes.embedding_server import serving

from lakecore.app._embedder import make_embedder
from lakecore.base import InvalidInput
from lakecore.config import load


def settings(**given: object) -> object:
    """`[search]` as the environment says it."""
    environ = {f"LAKECORE_SEARCH__{name.upper()}": str(value) for name, value in given.items()}
    return load(environ=environ, directory="/nonexistent").settings.search


def test_the_local_model_is_the_default(tmp_path: Path) -> None:
    """With its cache in the state directory."""
    embedder = make_embedder(settings(threads=1, batch_texts=8), tmp_path)  # type: ignore[arg-type]  # it is
    assert embedder.embed(["a plane lands"]).shape == (1, 384)
    assert [path.parent.name for path in tmp_path.rglob("*.sqlite")] == ["embeddings"]
    embedder.close()


def test_an_endpoint_is_asked_as_the_settings_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key comes from the variable that is named; making it asks nobody."""
    monkeypatch.setenv("MY_KEY", "sk-1")
    with serving() as endpoint:
        given = settings(
            provider="endpoint",
            base_url=endpoint.url,
            model="m",
            api_key_env="MY_KEY",
            dimension=4,
            ask_dimension="true",
        )
        embedder = make_embedder(given, tmp_path)  # type: ignore[arg-type]  # it is
        assert endpoint.bodies == []
        assert embedder.embed(["a"]).shape == (1, 4)
        assert {header["Authorization"] for header in endpoint.headers} == {"Bearer sk-1"}
        assert {body["dimensions"] for body in endpoint.bodies} == {4}
        embedder.close()


@pytest.mark.parametrize(
    "given",
    [
        {"provider": "endpoint", "model": "m"},
        {"provider": "endpoint", "base_url": "http://127.0.0.1:9/v1"},
        {
            "provider": "endpoint",
            "base_url": "http://127.0.0.1:9/v1",
            "model": "m",
            "api_key_env": "NOT_SET_ANYWHERE",
        },
        {"batch_texts": 2_000},
    ],
)
def test_settings_that_lack_something(tmp_path: Path, given: dict[str, object]) -> None:
    """It is named before anything is asked."""
    with pytest.raises(InvalidInput):
        make_embedder(settings(**given), tmp_path)  # type: ignore[arg-type]  # it is


@pytest.mark.parametrize(
    "given", [{"provider": "hub"}, {"threads": 0}, {"embedding_cache_bytes": 1}, {"dimension": -1}]
)
def test_settings_that_cannot_be(given: dict[str, object]) -> None:
    """The file's reader refuses them."""
    with pytest.raises(InvalidInput):
        settings(**given)
