"""Bad files at the command line: what it says, and that nothing is half done.

After each of them the lake verifies, takes the next good file, and verifies again.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.integration.soundly import GOOD, assert_sound, lakecore
from tests.integration.test_cli import LAKECORE, environment


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
