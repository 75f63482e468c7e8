"""What every adapter of `Store` promises, tried on each of them."""

from __future__ import annotations

import io
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.fakes.delta_log import FIRST_COMMIT, first_commit
from tests.fakes.faulty_store import FaultyStore
from tests.servers import BUCKET, has_azurite, s3_options

from lakecore.base import AlreadyExists, InvalidInput, NotFound
from lakecore.storage import ObjectInfo, Store, open_store, probe_create_only

ADAPTERS = ["local", "memory", "faulty", "s3", *(["azure"] if has_azurite() else [])]
MIB = 1 << 20
Reopen = Callable[[], Store]


@pytest.fixture(params=ADAPTERS)
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Reopen]:
    """Opens the same place again and again, as other processes would."""
    if request.param == "memory":
        store = open_store("memory://")
        yield lambda: store
        store.close()
    else:
        yield _opener(request, tmp_path)


def _opener(request: pytest.FixtureRequest, tmp_path: Path) -> Reopen:
    prefix = f"pre fix/ü/{uuid.uuid4()}"
    if request.param == "s3":
        options = s3_options(request.getfixturevalue("s3_endpoint"))
        return lambda: open_store(f"s3://{BUCKET}/{prefix}", options=options)
    if request.param == "azure":
        options = request.getfixturevalue("azure_account")
        return lambda: open_store(f"az://{BUCKET}/{prefix}", options=options)
    if request.param == "faulty":
        return lambda: FaultyStore(open_store(tmp_path / prefix))
    return lambda: open_store(tmp_path / prefix)


@pytest.fixture
def store(reopen: Reopen) -> Iterator[Store]:
    """An empty store."""
    store = reopen()
    yield store
    store.close()


def paths(found: Iterator[ObjectInfo]) -> list[str]:
    """The paths of a listing, in its order."""
    return [info.path for info in found]


def fill(store: Store, *names: str) -> None:
    """An object of every name, which holds its name."""
    for name in names:
        store.create(name, name.encode())


def upload_and_raise(store: Store, path: str, data: bytes, *, close: bool = False) -> None:
    """An upload whose block writes everything, then fails."""
    with store.upload(path) as file:
        file.write(data)
        if close:
            file.close()
        raise ZeroDivisionError


def test_an_object_is_read_as_it_was_written(store: Store, reopen: Reopen) -> None:
    """Bytes come back, also through another opener; so do none at all."""
    data = bytes(range(256)) * 40
    store.create("a/b/c.bin", data)
    store.create("empty", b"")
    other = reopen()
    assert other.get("a/b/c.bin") == data
    assert other.get("empty") == b""
    assert other.exists("empty")
    assert not other.exists("a/b")
    assert not other.exists("a/b/c.bin/d")


def test_create_refuses_a_name_that_is_taken(store: Store, reopen: Reopen) -> None:
    """The first object stays, and the error says where."""
    store.create("log/1", b"first")
    with pytest.raises(AlreadyExists) as refused:
        reopen().create("log/1", b"second")
    assert refused.value.where == "log/1"
    assert store.get("log/1") == b"first"


def test_exactly_one_of_many_creates_wins(reopen: Reopen) -> None:
    """Eight threads, each with a store of its own, race for ten names."""
    start = threading.Barrier(8)

    def compete(index: int) -> list[tuple[str, int]]:
        mine, won = reopen(), []
        for number in range(10):
            start.wait()
            try:
                mine.create(f"race/{number}", f"{index}".encode())
            except AlreadyExists:
                continue
            won.append((f"race/{number}", index))
        return won

    with ThreadPoolExecutor(8) as pool:
        won = dict(pair for pairs in pool.map(compete, range(8)) for pair in pairs)
    store = reopen()
    assert sorted(won) == [f"race/{number}" for number in range(10)]
    assert {name: int(store.get(name)) for name in won} == won


def test_a_shared_store_serves_many_threads(store: Store) -> None:
    """Threads that share one store, and new folders, do not get into each other's way."""

    def write(index: int) -> None:
        for number in range(5):
            store.create(f"shared/{number}/{index}", b"x")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    assert len(list(store.list_objects("shared/"))) == 40


def test_the_probe_finds_nothing_wrong(store: Store) -> None:
    """Every adapter is create-only, and the probe leaves nothing behind."""
    result = probe_create_only(store)
    assert result.is_create_only
    assert (result.url, result.winners) == (store.url, 1)
    assert paths(store.list_objects("")) == []


def test_put_replaces(store: Store) -> None:
    """A derived object is replaced, whether or not it was there."""
    store.put("index/a", b"one")
    store.put("index/a", b"two, longer")
    store.put("index/a", b"3")
    assert store.get("index/a") == b"3"


def test_an_upload_shows_when_its_block_ends(store: Store, reopen: Reopen) -> None:
    """Nothing is seen of an upload until it is whole."""
    with store.upload("up/one") as file:
        assert file.writable()
        assert not file.seekable()
        assert file.write(b"hello ") == 6
        assert file.tell() == 6
        file.write(memoryview(b"world"))
        assert not reopen().exists("up/one")
        assert paths(reopen().list_objects("")) == []
        assert reopen().list_folders("") == []
    assert reopen().get("up/one") == b"hello world"


@pytest.mark.parametrize("size_bytes", [0, 1, MIB, 20 * MIB])
def test_an_upload_that_raises_leaves_nothing(store: Store, size_bytes: int) -> None:
    """Whatever was written, and however much, is gone."""
    with pytest.raises(ZeroDivisionError):
        upload_and_raise(store, "up/torn", b"x" * size_bytes)
    assert not store.exists("up/torn")
    assert paths(store.list_objects("")) == []
    store.create("up/torn", b"the name is free")


def test_an_upload_refuses_a_name_that_is_taken(store: Store) -> None:
    """Small uploads as strictly as `create`; large ones look before they end."""
    store.create("up/taken", b"first")
    for size_bytes in (3, 20 * MIB):
        with pytest.raises(AlreadyExists), store.upload("up/taken") as file:
            file.write(b"x" * size_bytes)
    assert store.get("up/taken") == b"first"


def test_a_big_upload_is_read_back(store: Store) -> None:
    """20 MiB in uneven writes, in parts where the store has parts."""
    piece = bytes(range(251)) * 4_001
    with store.upload("up/big") as file:
        written = sum(file.write(piece) for _ in range(21))
    assert written == 21 * len(piece) > 20 * MIB
    assert store.head("up/big").size_bytes == written
    assert store.get("up/big") == piece * 21
    assert store.get_range("up/big", 8 * MIB - 3, 7) == (piece * 21)[8 * MIB - 3 : 8 * MIB + 4]


def test_an_upload_may_be_closed_by_its_writer(store: Store) -> None:
    """Libraries close the file they are given; the block still decides."""
    with store.upload("up/closed") as file:
        file.write(b"done")
        file.close()
    assert store.get("up/closed") == b"done"
    with pytest.raises(ZeroDivisionError):
        upload_and_raise(store, "up/gone", b"done", close=True)
    assert not store.exists("up/gone")


def test_ranges(store: Store) -> None:
    """Ranges end where the object ends; a negative start counts from there."""
    store.create("r", b"0123456789")
    store.create("empty", b"")
    cases = [
        (0, 3, b"012"),
        (4, 100, b"456789"),
        (9, 1, b"9"),
        (10, 5, b""),
        (99, 5, b""),
        (3, 0, b""),
        (-3, 3, b"789"),
        (-3, 100, b"789"),
        (-5, 2, b"56"),
        (-99, 4, b"0123"),
        (-99, 99, b"0123456789"),
        (-3, 0, b""),
    ]
    for start, length, expected in cases:
        assert store.get_range("r", start, length) == expected, (start, length)
    for start, length in [(0, 5), (-5, 5), (3, 3), (0, 0)]:
        assert store.get_range("empty", start, length) == b""
    with pytest.raises(InvalidInput):
        store.get_range("r", 0, -1)


def test_a_reader_seeks(store: Store) -> None:
    """An open object is a binary file to read from anywhere."""
    data = bytes(range(256)) * 8_192
    store.create("file", data)
    with store.open("file") as file:
        assert file.readable()
        assert file.seekable()
        assert file.read(3) == data[:3]
        assert file.seek(-5, io.SEEK_END) == len(data) - 5
        assert file.read() == data[-5:]
        assert file.read() == b""
        assert file.seek(100_000) == 100_000
        assert file.read(1_500_000) == data[100_000:1_600_000]
        assert file.tell() == 1_600_000
        file.seek(0)
        assert file.read() == data
    assert file.closed


def test_parquet_goes_in_and_out(store: Store) -> None:
    """pyarrow writes to an upload, and reads rows and columns from an open object."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({"n": range(100_000), "text": [f"row {n}" for n in range(100_000)]})
    with store.upload("t.parquet") as file:
        pq.write_table(table, file, row_group_size=10_000)
    with store.open("t.parquet") as file:
        parquet = pq.ParquetFile(file)
        assert parquet.num_row_groups == 10
        group = parquet.read_row_group(7, columns=["text"])
        assert group.column("text")[5].as_py() == "row 70005"
        file.seek(0)
        assert pq.read_table(file).equals(table)


def test_delta_readers_find_a_table(store: Store) -> None:
    """A commit that we create is a table that deltalake opens, with our location and options."""
    from deltalake import DeltaTable

    store.create(f"tables/main/planes/{FIRST_COMMIT}", first_commit("c"))
    uri = store.table_uri("tables/main/planes")
    table = DeltaTable(uri, storage_options=store.table_options())
    assert table.version() == 0
    assert table.schema().fields[0].name == "n"
    assert table.history()[0]["lakecore"] == {"commit_id": "c"}


def test_head_tells_size_and_time(store: Store) -> None:
    """Size in bytes; the time in microseconds, as listings tell it."""
    store.create("a/one", b"12345")
    info = store.head("a/one")
    assert (info.path, info.size_bytes) == ("a/one", 5)
    assert 1_700_000_000_000_000 < info.modified_us < 4_000_000_000_000_000
    (listed,) = store.list_objects("")
    # S3 tells the time of an object to the second, of a listing to the millisecond.
    assert listed.size_bytes == 5
    assert abs(listed.modified_us - info.modified_us) < 1_000_000


ODD_NAMES = [
    "a b/ c",
    "a%20b/41%.txt",
    "a-b",
    "a.b",
    "a/",
    "a/b",
    "a/b.c/d",
    "a/b/c",
    "a0",
    "a=1/b&c+d",
    "tilde~/(x)'!*,;@$",
    "Ünï/日本語.txt",
    "😀/z",
    "\ufb01/ligature",
]


def test_listings_are_sorted_by_path(store: Store) -> None:
    """Folder and object of nearly one name, spaces, percent signs, characters of every width."""
    names = [name for name in ODD_NAMES if not name.endswith("/") and name != "a/b"]
    fill(store, *reversed(names))
    assert paths(store.list_objects("")) == sorted(names)
    for name in names:
        assert store.get(name) == name.encode()
        assert store.head(name).path == name


def test_a_listing_starts_after_a_path(store: Store) -> None:
    """`after` need not be there, may be a folder, and lies anywhere."""
    names = sorted(n for n in ODD_NAMES if not n.endswith("/") and n != "a/b")
    fill(store, *names)
    for after in [*names, *ODD_NAMES, "", "a", "a/b/", "a/b/c/", "a/zzz", "zzz", "\U0010ffff"]:
        expected = [name for name in names if name > after]
        assert paths(store.list_objects("", after=after)) == expected, after
    assert paths(store.list_objects("a/", after="a/b.c/d")) == ["a/b/c"]
    assert paths(store.list_objects("a/", after="Z")) == ["a/b.c/d", "a/b/c"]
    assert paths(store.list_objects("a/", after="b")) == []


def test_a_prefix_is_a_folder(store: Store) -> None:
    """`a/` holds what is in the folder, not what merely starts so."""
    fill(store, "a.b", "a-b/x", "a/x", "a/y/z", "aa/x", "b")
    assert paths(store.list_objects("a/")) == ["a/x", "a/y/z"]
    assert paths(store.list_objects("a/y/")) == ["a/y/z"]
    assert paths(store.list_objects("nothing/")) == []
    assert paths(store.list_objects("b/")) == []


def test_a_long_listing_has_pages(store: Store) -> None:
    """More objects than a page of S3 holds, all and in order."""
    names = [f"many/{number:05}" for number in range(1_050)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: store.create(name, b""), names))
    assert paths(store.list_objects("many/")) == names
    assert paths(store.list_objects("many/", after="many/01046")) == names[-3:]


def test_folders(store: Store) -> None:
    """Names directly below, sorted, each once; an emptied folder is none."""
    fill(store, "x", "b c/1", "a/1", "a/2/3", "a.b/1", "ü/1", "p%20/1")
    assert store.list_folders("") == ["a", "a.b", "b c", "p%20", "ü"]
    assert store.list_folders("a/") == ["2"]
    assert store.list_folders("a/2/") == []
    assert store.list_folders("nothing/") == []
    store.delete("a/2/3")
    store.delete("ü/1")
    assert store.list_folders("") == ["a", "a.b", "b c", "p%20"]
    assert store.list_folders("a/") == []


def test_delete_is_idempotent(store: Store) -> None:
    """What is not there is as good as deleted; a folder is not an object."""
    fill(store, "d/1", "d/2")
    store.delete("d/1")
    store.delete("d/1")
    store.delete("never/there")
    store.delete("d")
    assert paths(store.list_objects("")) == ["d/2"]
    store.create("d/1", b"again")
    assert store.get("d/1") == b"again"


def test_what_is_not_there_is_not_found(store: Store) -> None:
    """Every reading operation says so, and where."""
    store.create("folder/object", b"x")
    for path in ["nothing", "folder", "folder/nothing", "no/such/folder"]:
        for read in (store.get, store.head, store.open, lambda p: store.get_range(p, 0, 1)):
            with pytest.raises(NotFound) as missing:
                read(path)
            assert missing.value.where == path
        for start, length in [(-1, 1), (0, 0), (-5, 2)]:
            with pytest.raises(NotFound):
                store.get_range(path, start, length)
        assert not store.exists(path)


BAD_PATHS = [
    "",
    "/",
    "/a",
    "a/",
    "a//b",
    ".",
    "..",
    "a/../b",
    "a/./b",
    "a\\b",
    "a\x00b",
    "a\nb",
    "\ud800",
    "x" * 256,
    "y/" * 600 + "y",
    ".tmp-1",
    "a/.tmp-1/b",
    "a/b#12",
]


@pytest.mark.parametrize("path", BAD_PATHS, ids=ascii)
def test_bad_paths_are_refused(store: Store, path: str) -> None:
    """Every operation refuses them, before anything happens."""
    operations: list[Callable[[], object]] = [
        lambda: store.create(path, b""),
        lambda: store.put(path, b""),
        lambda: store.upload(path).__enter__(),
        lambda: store.get(path),
        lambda: store.get_range(path, 0, 1),
        lambda: store.head(path),
        lambda: store.exists(path),
        lambda: store.open(path),
        lambda: store.delete(path),
        lambda: store.local_path(path),
        lambda: store.table_uri(path),
    ]
    for operation in operations:
        with pytest.raises(InvalidInput):
            operation()
    if path:
        for prefix in {path, f"{path}/"} - {"a/"}:
            with pytest.raises(InvalidInput):
                store.list_objects(prefix)
            with pytest.raises(InvalidInput):
                store.list_folders(prefix)


def test_long_names_are_taken(store: Store) -> None:
    """As long as `_paths` allows, whatever lies above the store."""
    long = "/".join(["s" * 255, "t" * 255, "u" * 200])
    store.create(long, b"x")
    assert paths(store.list_objects("")) == [long]


def test_the_local_path_is_the_file(store: Store) -> None:
    """Where there is a disk, other programs read the object from it."""
    store.create("f/1", b"data")
    path = store.local_path("f/1")
    if "://" in store.table_uri("f"):
        assert path is None
    else:
        assert path is not None
        assert path.read_bytes() == b"data"


def test_sweeping_leaves_every_object(store: Store) -> None:
    """A store without remains of dead processes has nothing to lose."""
    store.create("a/b", b"1")
    assert store.sweep() == 0
    assert store.get("a/b") == b"1"
