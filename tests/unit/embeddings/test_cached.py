"""The cache: what is in it is not computed, and nothing wrong comes out of it."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from tests.fakes.embedders import CountingEmbedder

from lakecore.base import InvalidInput
from lakecore.embeddings import CachedEmbedder
from lakecore.embeddings._cache import MIN_BYTES, VectorCache
from lakecore.embeddings._cached import _PIECE_TEXTS

REPOSITORY = Path(__file__).parents[3]


def test_a_text_is_computed_once(tmp_path: Path) -> None:
    """Within a call, between calls, and over restarts; the order of the answer is that asked."""
    inner = CountingEmbedder()
    texts = ["b", "aa", "b", "ccc"]
    first = CachedEmbedder(inner, tmp_path)
    vectors = first.embed(texts)
    np.testing.assert_array_equal(vectors, inner.embed(texts))
    inner.asked.clear()
    np.testing.assert_array_equal(first.embed(texts[::-1]), vectors[::-1])
    first.close()
    again = CachedEmbedder(CountingEmbedder(), tmp_path)
    np.testing.assert_array_equal(again.embed([*texts, "new"])[:4], vectors)
    assert inner.asked == []
    assert again._embedder.asked == ["new"]  # type: ignore[attr-defined]  # a counting one
    assert again.embed([]).shape == (0, 8)
    with pytest.raises(InvalidInput):
        again.embed([""])


def test_another_model_has_another_file(tmp_path: Path) -> None:
    """Names that differ, however little, share nothing."""
    for name in ("m@1", "m@2", "M@1", "m_1", "../../m", "x" * 500):
        inner = CountingEmbedder(name)
        CachedEmbedder(inner, tmp_path).embed(["a"])
        assert inner.asked == ["a"], name
    files = set(tmp_path.rglob("*.sqlite"))
    assert len(files) == 6
    assert {path.parent for path in files} == {tmp_path / "embeddings"}


def test_a_model_that_changed_behind_its_name(tmp_path: Path) -> None:
    """The known text gives it away: nothing of the other model is used."""
    CachedEmbedder(CountingEmbedder(), tmp_path).embed(["a", "b"])
    changed = CountingEmbedder(turn=3.0)
    vectors = CachedEmbedder(changed, tmp_path).embed(["a", "c"])
    np.testing.assert_array_equal(vectors, changed.embed(["a", "c"]))
    same = CountingEmbedder(turn=3.0)
    CachedEmbedder(same, tmp_path).embed(["a", "b"])
    assert same.asked == ["b"]


def test_what_was_interrupted_goes_on(tmp_path: Path) -> None:
    """What was computed before it broke is there."""
    texts = [f"text {at:05}" for at in range(3 * _PIECE_TEXTS)]
    broken = CountingEmbedder()
    broken.fail_after = _PIECE_TEXTS
    with pytest.raises(KeyboardInterrupt):
        CachedEmbedder(broken, tmp_path).embed(texts)
    assert len(broken.asked) == 2 * _PIECE_TEXTS
    second = CountingEmbedder()
    CachedEmbedder(second, tmp_path).embed(texts)
    assert len(second.asked) == _PIECE_TEXTS


def test_it_stays_within_its_bound(tmp_path: Path) -> None:
    """What was not asked for longest goes first."""
    inner = CountingEmbedder(dimension=256)
    cached = CachedEmbedder(inner, tmp_path, max_bytes=MIN_BYTES)
    cached.embed(["first"])
    for batch in range(12):
        cached.embed([f"{batch} {at}" for at in range(200)])
        cached.embed(["first"])
    cached.close()
    size = sum(path.stat().st_size for path in (tmp_path / "embeddings").iterdir())
    assert size < 1.5 * MIN_BYTES
    assert inner.asked.count("first") == 1
    inner.asked.clear()
    CachedEmbedder(inner, tmp_path, max_bytes=MIN_BYTES).embed(["0 0", "11 199"])
    assert inner.asked == ["0 0"]


def test_files_of_other_models_go_first(tmp_path: Path) -> None:
    """The bound is that of the folder."""
    for name in ("old", "older"):
        cached = CachedEmbedder(CountingEmbedder(name, 256), tmp_path, max_bytes=MIN_BYTES)
        cached.embed([f"{at}" for at in range(600)])
        cached.close()
    CachedEmbedder(CountingEmbedder("new", 256), tmp_path, max_bytes=MIN_BYTES).embed(["a"])
    left = {path.name.split("-")[0] for path in (tmp_path / "embeddings").glob("*.sqlite")}
    assert left == {"new"}


@pytest.mark.parametrize("bound", [0, MIN_BYTES - 1, 1 << 50])
def test_a_bound_that_cannot_be(tmp_path: Path, bound: int) -> None:
    """It is refused."""
    with pytest.raises(InvalidInput):
        VectorCache(tmp_path, "m", 8, max_bytes=bound)


def test_damage_is_no_hit(tmp_path: Path) -> None:
    """Bits turned over anywhere in the file: vectors are right, or computed again."""
    seed = random.randrange(1 << 30)
    print("seed", seed)
    chance = random.Random(seed)
    texts = [f"text {at}" for at in range(100)]
    wanted = CountingEmbedder().embed(texts)
    cached = CachedEmbedder(CountingEmbedder(), tmp_path)
    cached.embed(texts)
    cached.close()
    (path,) = (tmp_path / "embeddings").glob("*.sqlite")
    whole = path.read_bytes()
    for round_ in range(12):
        content = bytearray(whole)
        for _ in range(1 + 20 * (round_ % 3)):
            content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        if round_ == 11:
            content = content[: len(content) // 2]
        path.write_bytes(content)
        again = CachedEmbedder(CountingEmbedder(), tmp_path)
        np.testing.assert_array_equal(again.embed(texts), wanted)
        again.close()
    path.write_bytes(b"no database at all")
    np.testing.assert_array_equal(CachedEmbedder(CountingEmbedder(), tmp_path).embed(texts), wanted)


def test_a_vector_under_another_key_is_no_hit(tmp_path: Path) -> None:
    """The checksum is over key and vector."""
    cached = CachedEmbedder(CountingEmbedder(), tmp_path)
    cached.embed(["a", "b"])
    cached.close()
    (path,) = (tmp_path / "embeddings").glob("*.sqlite")
    with sqlite3.connect(path) as db:
        (packed,) = db.execute("SELECT vector FROM vectors LIMIT 1").fetchone()
        db.execute("UPDATE vectors SET vector = ?", (packed,))
    db.close()
    inner = CountingEmbedder()
    np.testing.assert_array_equal(
        CachedEmbedder(inner, tmp_path).embed(["a", "b"]), CountingEmbedder().embed(["a", "b"])
    )
    assert len(inner.asked) == 1


def test_a_folder_that_takes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full is no reason not to embed."""
    cached = CachedEmbedder(CountingEmbedder(), tmp_path)

    class Full:
        """Whatever is asked."""

        def __getattr__(self, _name: str) -> object:
            raise sqlite3.OperationalError("database or disk is full")

        def __enter__(self) -> None:
            raise sqlite3.OperationalError("database or disk is full")

        def __exit__(self, *_args: object) -> None: ...

        def close(self) -> None:
            """Nothing is open."""

    monkeypatch.setattr(cached._cache, "_db", Full())
    np.testing.assert_array_equal(cached.embed(["a"]), CountingEmbedder().embed(["a"]))


def test_threads_share_one(tmp_path: Path) -> None:
    """Each gets its own vectors."""
    cached = CachedEmbedder(CountingEmbedder(), tmp_path)
    wrong: list[int] = []

    def work(number: int) -> None:
        for round_ in range(5):
            texts = [f"{(number + at) % 40} {round_}" for at in range(30)]
            if not np.array_equal(cached.embed(texts), CountingEmbedder().embed(texts)):
                wrong.append(number)

    threads = [threading.Thread(target=work, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


FILL = """
import sys
from pathlib import Path
from lakecore.embeddings import CachedEmbedder
from tests.fakes.embedders import CountingEmbedder
cached = CachedEmbedder(CountingEmbedder(), Path(sys.argv[1]))
for at in range(1 << 20):
    cached.embed([f"{at}:{n}" for n in range(50)])
"""


def test_a_kill_harms_nothing(tmp_path: Path) -> None:
    """Two processes that fill one cache, killed; what is left is right."""
    command = [sys.executable, "-c", FILL, str(tmp_path)]
    filling = [subprocess.Popen(command, cwd=REPOSITORY) for _ in range(2)]
    deadline_s = time.monotonic() + 60
    cache = VectorCache(tmp_path / "embeddings", "m@1", 8)
    while cache.count < 500 and time.monotonic() < deadline_s:
        time.sleep(0.02)
    for process in filling:
        process.kill()
        process.wait()
    assert cache.count >= 500
    cache.close()
    inner = CountingEmbedder()
    texts = [f"{at}:{n}" for at in range(5) for n in range(50)]
    wanted = CountingEmbedder().embed(texts)
    np.testing.assert_array_equal(CachedEmbedder(inner, tmp_path).embed(texts), wanted)
    assert len(inner.asked) < len(texts)
