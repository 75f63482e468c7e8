"""Everything that can be wrong at the command line: what it says, and that nothing is half done.

After each of them the lake verifies, takes the next good file, and verifies again.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from tests.integration.test_cli import LAKECORE, environment
from tests.servers import can_mount, remount_read_only

from lakecore.cli import root

GOOD = b"id,a\n1,x\n2,y\n"


def lakecore(lake: Path | str, *arguments: str, exit_code: int = 0, stdin: str = "") -> Result:
    """One command in this process."""
    command = ["--lake", str(lake), *arguments]
    result = CliRunner().invoke(root, command, input=stdin, catch_exceptions=False)
    assert result.exit_code == exit_code, result.stdout + result.stderr
    assert "Traceback" not in result.output
    assert "bug in Lakecore" not in result.output
    return result


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with a dataset for each contract; copied for each test."""
    folder = tmp_path_factory.mktemp("made")
    file = folder / "good.csv"
    file.write_bytes(GOOD)
    for contract in ("evolve", "freeze", "quarantine"):
        command = ["--dataset", contract, "--key", "id", "--contract", contract]
        lakecore(folder / "lake", "ingest", str(file), *command)
    return folder / "lake"


@pytest.fixture
def lake(made: Path, tmp_path: Path) -> Path:
    """A lake of this test's own."""
    return Path(shutil.copytree(made, tmp_path / "lake"))


def assert_sound(lake: Path) -> None:
    """It verifies, takes the next good file, and verifies again."""
    lakecore(lake, "verify")
    file = lake.parent / "the next.csv"
    file.write_text("id,a\n100,x\n101,y\n")
    lakecore(lake, "ingest", str(file), "--dataset", "the_next", "--key", "id")
    lakecore(lake, "ingest", str(file), "--dataset", "evolve")
    lakecore(lake, "verify")
    staged = lake / "journal" / "staged"
    assert not staged.exists() or list(staged.iterdir()) == []


# -- files ------------------------------------------------------------------------------


def parquet(damage: Callable[[bytes], bytes]) -> bytes:
    """A Parquet file, damaged."""
    sink = io.BytesIO()
    pq.write_table(pa.table({"id": list(range(1000))}), sink)
    return damage(sink.getvalue())


def wide(columns: int) -> bytes:
    """A header and one row."""
    names = ",".join(f"c{number}" for number in range(columns))
    return f"{names}\n{','.join('7' * columns)}\n".encode()


@dataclass(frozen=True, kw_only=True)
class BadFile:
    """A file, how it is ingested, and what comes of it; `rows` are those that got in."""

    name: str
    data: bytes
    options: str = "--dataset new"
    file: str = "file.csv"
    exit_code: int = 0
    says: tuple[str, ...] = ()
    rows: int = 0
    rejected: int = 0


FILES = [
    BadFile(
        name="ragged rows",
        data=b"id,a,b\n1,x,y\n2,x\n3,x,y,z\n4,x,y\n",
        rows=2,
        rejected=2,
        says=("2 records did not get in", "system.quarantine"),
    ),
    BadFile(
        name="hardly a row that is whole",
        data=b"id,a,b\n1,x,y\n2,x\n3,x,y,z,w\n4,p\n",
        rows=1,
        rejected=3,
        says=("3 records did not get in",),
    ),
    BadFile(
        name="wrong quotes",
        data=b'id,a\n1,"he said "hi" there"\n2,ok\n3,"open\n4,x\n',
        rows=1,
        rejected=2,
        says=("2 records did not get in",),
    ),
    BadFile(
        name="refused when strict",
        data=b"id,a\n1,x\n2\n",
        options="--dataset new --strict",
        exit_code=2,
        says=("a row does not fit", "file.csv, line 3", "hint:"),
    ),
    BadFile(
        name="mixed encodings",
        data=b"id,a\n1,caf\xc3\xa9\n2,caf\xe9\n3,x\n",
        rows=2,
        rejected=1,
        says=("1 record did not get in",),
    ),
    BadFile(
        name="another encoding than said",
        data=b"id,a\n1,caf\xe9\n",
        options="--dataset new --encoding utf-16",
        exit_code=2,
        says=("the file is not utf-16", "file.csv", "hint:"),
    ),
    BadFile(
        name="an encoding that there is not",
        data=GOOD,
        options="--dataset new --encoding klingon",
        exit_code=2,
        says=("unknown encoding", "klingon"),
    ),
    BadFile(name="embedded newlines", data=b'id,a\n1,"two\nlines"\n2,x\n', rows=2),
    BadFile(
        name="a byte-order mark",
        data=b"\xef\xbb\xbfid,a\n1,x\n",
        options="--dataset new --key id",
        rows=1,
    ),
    BadFile(name="no header", data=b"1,x,2.5\n2,y,3.5\n", rows=2, says=("no header",)),
    BadFile(
        name="duplicate and empty column names",
        data=b"id,id,,ID\n1,2,3,4\n",
        rows=1,
        says=("column 2 'id' is named 'id_2'", "column 3 '' is named 'column_3'"),
    ),
    BadFile(name="10,000 columns", data=wide(10_000), rows=1),
    BadFile(
        name="too many columns",
        data=wide(20_000),
        exit_code=2,
        says=("too many columns", "16384", "20000"),
    ),
    BadFile(
        name="an empty file",
        data=b"",
        exit_code=2,
        says=("the file is empty", "file.csv", "hint:"),
    ),
    BadFile(name="only blank lines", data=b"\n\n\n", exit_code=2, says=("no record", "file.csv")),
    BadFile(name="only a header", data=b"id,a\n", options="--dataset new --key id"),
    BadFile(
        name="binary data",
        data=b"\0\1\2\3" * 100,
        exit_code=2,
        says=("binary file", "file.csv", "hint:"),
    ),
    BadFile(
        name="truncated gzip",
        data=gzip.compress(GOOD * 1000)[:-9],
        file="file.csv.gz",
        exit_code=2,
        says=("gzip file is truncated or damaged", "file.csv.gz", "hint:"),
    ),
    BadFile(
        name="truncated Parquet",
        data=parquet(lambda data: data[:-40]),
        file="file.parquet",
        exit_code=2,
        says=("parquet file is truncated or damaged", "file.parquet", "hint:"),
    ),
    BadFile(
        name="damaged Parquet",
        data=parquet(lambda data: data[:20] + b"\xff" * 200 + data[220:]),
        file="file.parquet",
        exit_code=2,
        says=("parquet file is truncated or damaged", "file.parquet"),
    ),
    BadFile(
        name="JSON that ends too soon",
        data=b'[{"id": 1, "a": "x"}, {"id": 2',
        file="file.json",
        exit_code=2,
        says=("JSON cannot be read", "file.json"),
    ),
    BadFile(
        name="a line that is no JSON",
        data=b'{"id": 1, "a": "x"}\n{"id": 2\n{"id": 3, "a": "z"}\n',
        file="file.ndjson",
        rows=2,
        rejected=1,
    ),
    BadFile(
        name="a key that is not in the file",
        data=GOOD,
        options="--dataset new --key ID",
        exit_code=2,
        says=("the key column is not in the file", "ID", "id, a", "Did you mean id?"),
    ),
    BadFile(
        name="a null key",
        data=b"id,a\n1,x\n,y\n",
        options="--dataset new --key id",
        exit_code=2,
        says=("without a usable key", "row 2: the key is null", "hint:"),
    ),
    BadFile(
        name="a key twice in the file",
        data=b"id,a\n1,x\n1,y\n",
        options="--dataset new --key id",
        exit_code=2,
        says=("without a usable key", "row 2: the key is repeated: id = 1", "hint:"),
    ),
    BadFile(
        name="bad keys set apart",
        data=b"id,a\n1,x\n1,y\n,z\n",
        options="--dataset new --key id --on-bad-key quarantine",
        rows=1,
        rejected=2,
    ),
    BadFile(
        name="a key that is in the dataset",
        data=b"id,a\n2,new\n3,new\n",
        options="--dataset evolve",
        exit_code=2,
        says=("the key is already in the dataset", "found:    2", "file.csv", "upsert"),
    ),
    BadFile(
        name="another key than the dataset's",
        data=GOOD,
        options="--dataset evolve --key a --again",
        exit_code=2,
        says=("the dataset has another key", "expected: id", "found:    a", "hint:"),
    ),
    BadFile(
        name="another contract than the dataset's",
        data=b"id,a\n3,x\n",
        options="--dataset evolve --contract freeze",
        exit_code=2,
        says=("the dataset has another contract", "alter"),
    ),
    BadFile(
        name="evolve: a few values of another type",
        data=b"id,a\n3,x\nx9,y\n",
        options="--dataset evolve",
        rows=1,
        rejected=1,
    ),
    BadFile(
        name="evolve: a column of another type",
        data=b"id,a\n" + b"".join(b"x%d,y\n" % number for number in range(50)),
        options="--dataset evolve",
        exit_code=2,
        says=("do not have the dataset's type", "expected: int", "file.csv, column id", "hint:"),
    ),
    BadFile(
        name="evolve: a new column",
        data=b"id,b\n3,x\n",
        options="--dataset evolve",
        rows=1,
    ),
    BadFile(
        name="freeze: a value of another type",
        data=b"id,a\n3,x\nx9,y\n",
        options="--dataset freeze",
        exit_code=2,
        says=("differs from a frozen dataset", "line 3: id: 'x9' is no int", "file.csv", "hint:"),
    ),
    BadFile(
        name="freeze: a new column",
        data=b"id,b\n3,x\n",
        options="--dataset freeze",
        exit_code=2,
        says=("differs from a frozen dataset", "b: new column; a: missing", "hint:"),
    ),
    BadFile(
        name="quarantine: a value of another type, and a new column",
        data=b"id,a,b\n3,x,\nx9,y,\n4,z,new\n",
        options="--dataset quarantine",
        rows=1,
        rejected=2,
    ),
    BadFile(
        name="a name that is none",
        data=GOOD,
        options="--dataset no-name",
        exit_code=2,
        says=("not a dataset name", "'no-name'", "no_name"),
    ),
    BadFile(
        name="a name of Lakecore's own",
        data=GOOD,
        options="--dataset system.mine",
        exit_code=2,
        says=("Lakecore's own", "system.mine", "hint:"),
    ),
    BadFile(
        name="a format that there is not",
        data=GOOD,
        options="--dataset new --format xml",
        exit_code=2,
        says=("unknown format", "csv", "xml"),
    ),
    BadFile(
        name="upsert without a key",
        data=GOOD,
        options="--dataset new --mode upsert",
        exit_code=2,
        says=("upsert needs a key", "hint:"),
    ),
]


@pytest.mark.parametrize("bad", FILES, ids=lambda bad: bad.name)
def test_bad_file(lake: Path, tmp_path: Path, bad: BadFile) -> None:
    """What is good of it is in, the rest is in quarantine; or nothing is, and it says why."""
    file = tmp_path / bad.file
    file.write_bytes(bad.data)
    command = ["ingest", str(file), *bad.options.split()]
    before = json.loads(lakecore(lake, "status", "--json").stdout)
    result = lakecore(lake, *command, exit_code=bad.exit_code)
    for text in bad.says:
        assert text in result.stderr
    after = json.loads(lakecore(lake, "status", "--json").stdout)
    # The quarantine is a dataset with rows, too.
    assert after["rows"] - before["rows"] == bad.rows + bad.rejected
    query = "select count(*) n, count(reason) why from system.quarantine"
    held = json.loads(lakecore(lake, "sql", query, "--json").stdout)
    assert held == [{"n": bad.rejected, "why": bad.rejected}]
    if bad.exit_code:
        assert before["journal"] == after["journal"]
        assert result.stdout == ""
        error = json.loads(lakecore(lake, *command, "--json", exit_code=2).stderr)["error"]
        assert error["exit_code"] == 2
    assert_sound(lake)


def test_what_is_no_file(lake: Path, tmp_path: Path) -> None:
    """A directory, nothing, special files; in a process of its own, since it may hang."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "planes.csv").write_bytes(GOOD)
    for name, says in (
        ("folder", ("this is a directory", "hint:")),
        ("plane.csv", ("no such file", "There is a planes.csv beside it")),
        ("pipe", ("not a regular file", "hint:")),
        ("/dev/null", ("not a regular file", "hint:")),
        ("/dev/zero", ("not a regular file", "hint:")),
    ):
        for command in (["ingest", name, "--dataset", "x"], ["insert", "evolve", "--file", name]):
            answer = subprocess.run(
                [*LAKECORE, *command],
                cwd=tmp_path,
                env=environment(),
                capture_output=True,
                text=True,
                timeout=30,
            )
            assert answer.returncode == 2
            for text in (*says, f"where:    {name}"):
                assert text in answer.stderr
    assert_sound(lake)


if os.geteuid() != 0:  # root may read everything

    def test_a_file_that_may_not_be_read(lake: Path, tmp_path: Path) -> None:
        """It says that a right is missing."""
        file = tmp_path / "secret.csv"
        file.write_bytes(GOOD)
        file.chmod(0)
        result = lakecore(lake, "ingest", str(file), "--dataset", "x", exit_code=2)
        assert "the file cannot be read" in result.stderr
        assert "Give this user the right" in result.stderr


def test_a_misspelt_file_makes_no_lake(tmp_path: Path) -> None:
    """Nothing is left behind where there was nothing."""
    lakecore(tmp_path / "lake", "ingest", "gone.csv", "--dataset", "x", exit_code=2)
    assert list(tmp_path.iterdir()) == []


# -- requests ---------------------------------------------------------------------------

REQUESTS: list[tuple[str, int, tuple[str, ...]]] = [
    ("datasets nosuch", 2, ("no dataset of that name", "nosuch", "hint:")),
    ("datasets evolv", 2, ("no dataset of that name", "evolve")),
    ("history nosuch 1", 2, ("no dataset of that name", "nosuch")),
    ("blame nosuch 1", 2, ("no dataset of that name", "nosuch")),
    ("drop nosuch --yes", 2, ("no dataset of that name", "nosuch")),
    ("drop evolve", 2, ("--yes",)),
    ("undrop evolve", 2, ("no dropped dataset",)),
    ("rename evolve freeze", 2, ("freeze",)),
    ("alter evolve", 2, ("nothing to change", "hint:")),
    ("alter evolve --contract loose", 2, ("'loose' is not one of", "hint:")),
    ("update nosuch --all --set a=1", 2, ("no dataset of that name",)),
    ("update evolve --set a=1", 2, ("this would change every row", "--all")),
    ("update evolve --all --set b=1", 2, ("no such column", "b", "columns are id, a")),
    ("update evolve --all --set id=7", 2, ("the same key occurs more than once", "7")),
    ("update evolve --all --set id=x", 2, ("does not fit the column", "int64", "'x'")),
    ("update evolve --where idd=1 --set a=1", 2, ("no such column", "idd", "did you mean 'id'")),
    ("delete evolve", 2, ("this would change every row", "--all")),
    ("update system.journal --all --set actor=x", 2, ("system.journal",)),
    ("journal query --since yesterday", 2, ("not a time", "yesterday", "--since")),
    ("journal query --cursor x", 2, ("not a cursor",)),
    ("config show --config gone.toml", 2, ("gone.toml",)),
    ("nosuch", 2, ("there is no command 'nosuch'", "hint:")),
    ("verifi", 2, ("did you mean 'verify'?",)),
    ("--nosuch", 2, ("no such option", "hint:")),
    ("ingest", 2, ("missing argument", "hint:")),
    ("sql", 2, ("missing argument", "hint:")),
]

QUERIES: list[tuple[str, int, tuple[str, ...]]] = [
    ("", 2, ("the statement is empty",)),
    ("selec 1", 2, ("syntax error", "line 1, column 1")),
    ("select * from evolve where", 2, ("syntax error", "the end of the text", "column 27")),
    ("select 1; select 2", 2, ("more than one statement", "hint:")),
    ("select * from evolv", 2, ("no such table", "evolv", "evolve")),
    ("select b from evolve", 2, ("no such column", "evolve.id", "line 1, column 8")),
    ("select nosuch(1)", 2, ("nosuch",)),
    ("select * from evolve where id = $x", 2, ("a parameter has no value", "$x", "--param")),
    ("select * from as_of('evolve', 9)", 2, ("no such version", "0 to 0", "9")),
    ("select * from as_of('evolve', 'once')", 2, ("no version and no time", "once")),
    ("select cast('x' as int)", 2, ("'x'",)),
    ("drop table evolve", 1, ("read-only", "hint:")),
    ("copy evolve to 'out.csv'", 1, ("read-only",)),
    ("select * from read_csv('/etc/passwd')", 2, ("read_csv",)),
]


@pytest.mark.parametrize(("command", "exit_code", "says"), REQUESTS)
def test_bad_request(lake: Path, command: str, exit_code: int, says: tuple[str, ...]) -> None:
    """What was asked for, what there is instead, and nothing has changed."""
    before = lakecore(lake, "status").stdout
    result = lakecore(lake, *command.split(), exit_code=exit_code)
    for text in says:
        assert text in result.stderr
    assert result.stdout == ""
    assert lakecore(lake, "status").stdout == before


@pytest.mark.parametrize(("query", "exit_code", "says"), QUERIES)
def test_bad_sql(made: Path, query: str, exit_code: int, says: tuple[str, ...]) -> None:
    """Where in the statement, and what would be right."""
    result = lakecore(made, "sql", query, exit_code=exit_code)
    for text in says:
        assert text in result.stderr
    assert result.stdout == ""


def test_after_bad_requests(made: Path, tmp_path: Path) -> None:
    """The lake that took all the bad SQL is as it was."""
    assert_sound(Path(shutil.copytree(made, tmp_path / "lake")))


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("no json", ("a line is not JSON", "line 2")),
        ("[1]", ("not a JSON object", "line 2")),
        ('{"entity_type": "a"}', ("an event needs this field", "entity_id")),
        ('{"entity_type": "a", "entity_id": "1", "action": "x", "b": 1}', ("no such field", "'b'")),
    ],
)
def test_bad_events(lake: Path, line: str, says: tuple[str, ...]) -> None:
    """Which line, and how many before it are recorded."""
    good = '{"entity_type": "job", "entity_id": "7", "action": "start"}'
    result = lakecore(lake, "journal", "record", stdin=f"{good}\n{line}\n", exit_code=2)
    for text in ("0 events recorded", *says):
        assert text in result.stderr
    assert_sound(lake)


# -- lakes ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "exit_code", "says"),
    [
        (b"", 1, ("identity is not readable", "0 bytes", "lakecore.json", "backup")),
        (b'{"format": 1, "lake', 1, ("identity is not readable", "no JSON", "backup")),
        (b"[]", 1, ("identity is not readable", "without a format")),
        (b'{"format": 1, "lake_id": 7}', 1, ("identity is not readable", "lake_id")),
        (b'{"format": 2}', 2, ("format is unknown", "expected: 1", "found:    2", "newer")),
    ],
)
def test_a_damaged_or_newer_identity(
    lake: Path, tmp_path: Path, content: bytes, exit_code: int, says: tuple[str, ...]
) -> None:
    """No command goes on; with the file back, all is as it was."""
    identity, file = lake / "lakecore.json", tmp_path / "file.csv"
    was = identity.read_bytes()
    identity.chmod(0o644)
    identity.write_bytes(content)
    file.write_bytes(b"id,a\n7,x\n")
    for command in ("datasets", "verify", "init", f"ingest {file} --dataset evolve"):
        result = lakecore(lake, *command.split(), exit_code=exit_code)
        for text in says:
            assert text in result.stderr
    assert identity.read_bytes() == content
    identity.write_bytes(was)
    assert_sound(lake)


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("gone", ("there is no lake here", "gone", "lakecore init")),
        ("file", ("a file is in the way", "a file", "hint:")),
        ("file/below", ("a file is in the way", "hint:")),
        ("", ("no place for the store", "expected:")),
        ("ftp://host/lake", ("no store of this kind", "expected:", "ftp://")),
        ("s3://", ("no bucket in the URL", "s3://bucket/prefix")),
    ],
)
def test_a_wrong_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, says: tuple[str, ...]
) -> None:
    """What is there instead, and what would do."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("not a lake")
    for command in ("datasets", "verify", "sql select"):
        result = lakecore(place, *command.split(), exit_code=2)
        for text in says:
            assert text in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


# -- disks and signals ------------------------------------------------------------------

if can_mount():

    def test_a_full_disk(small_disk: Path, tmp_path: Path) -> None:
        """The file is not in, nothing of it stays; with room again all goes on."""
        large, lake = tmp_path / "large.csv", small_disk / "lake"
        lines = [f"{number},{os.urandom(24).hex()}" for number in range(60_000)]
        large.write_text("\n".join(["id,a", *lines]))
        small = tmp_path / "small.csv"
        small.write_bytes(GOOD)
        lakecore(lake, "ingest", str(small), "--dataset", "evolve", "--key", "id")
        used_bytes = shutil.disk_usage(small_disk).used
        for command in (
            f"ingest {large} --dataset large",
            f"ingest {large} --dataset large --key id",
            f"upsert evolve --file {large}",
        ):
            result = lakecore(lake, *command.split(), exit_code=2)
            assert "no space left" in result.stderr
            assert "hint:" in result.stderr
            assert shutil.disk_usage(small_disk).used - used_bytes < 64 * 1024
        command = [*LAKECORE, "--lake", str(lake), "ingest", str(large), "--dataset", "large"]
        ended = subprocess.run(command, env=environment(), capture_output=True, text=True)
        assert len(ended.stderr.splitlines()) == 3  # message, where, hint; no library's last words
        found = json.loads(lakecore(lake, "datasets", "--json").stdout)
        assert [(dataset["name"], dataset["rows"]) for dataset in found] == [("evolve", 2)]
        assert_sound(lake)

    def test_a_read_only_disk(made: Path, small_disk: Path, tmp_path: Path) -> None:
        """Everything can be read, with and without state of its own; nothing can be written."""
        lake, bare = small_disk / "lake", small_disk / "bare"
        shutil.copytree(made, lake)
        shutil.copytree(made, bare, ignore=shutil.ignore_patterns(".local"))
        file = tmp_path / "file.csv"
        file.write_bytes(b"id,a\n7,x\n")
        remount_read_only(small_disk)
        for place in (lake, bare):
            for command in (
                "init",
                "datasets",
                "datasets evolve",
                "history evolve 1",
                "blame evolve 1",
                "status",
                "verify",
                "journal recent",
                "journal query --limit 1",
                "journal stats",
            ):
                lakecore(place, *command.split())
            for query in ("select * from evolve", "select count(*) from system.journal"):
                assert lakecore(place, "sql", query).stdout
            for command in (
                f"ingest {file} --dataset evolve",
                f"ingest {file} --dataset new",
                "update evolve --all --set a=b",
                "delete evolve --all",
                "drop evolve --yes",
                "rename evolve other",
            ):
                result = lakecore(place, *command.split(), exit_code=2)
                assert "read-only file system" in result.stderr.lower()
                assert "hint:" in result.stderr
            assert "WRONG" in lakecore(place, "doctor", exit_code=1).stdout
        assert_sound(Path(shutil.copytree(lake, tmp_path / "copy" / "lake")))


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_ingest(lake: Path, tmp_path: Path, sent: signal.Signals) -> None:
    """All of the file or nothing, whenever it is stopped; the same command then takes it."""
    file = tmp_path / "large.csv"
    rows = 150_000
    file.write_text("id,a\n" + "".join(f"{number},text {number}\n" for number in range(rows)))
    command = ["ingest", str(file), "--dataset", "large", "--key", "id"]
    with subprocess.Popen(
        [*LAKECORE, "--lake", str(lake), *command],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        deadline = time.monotonic() + 30
        while not (lake / "tables" / "main" / "large").exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(sent)
        _, stderr = process.communicate(timeout=60)
    assert "Traceback" not in stderr
    if sent == signal.SIGINT and process.returncode:
        assert (process.returncode, stderr.splitlines()[-1]) == (130, "interrupted")
    lakecore(lake, "verify")
    lakecore(lake, *command)
    counted = lakecore(lake, "sql", "select count(*) n from large", "--json").stdout
    assert json.loads(counted) == [{"n": rows}]
    lakecore(lake, "verify")
