"""The engine `spark` from every door: who may ask what, and what happens when the server goes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.gateways import PLANES, Served, good, serving, slug
from tests.servers import BUCKET, s3_options, spark_server

import lakecore
from lakecore.app import Lake
from lakecore.base import InvalidInput, NotFound, Refused, Unavailable
from lakecore.spark import MAX_TRIES, SparkServer

pytestmark = pytest.mark.filterwarnings(
    # The client's, about the release of pandas.
    "ignore::FutureWarning"
)

_LONG = "select count(*) from n a cross join n b cross join n c where a.i * b.i + c.i = 7"


def _open(folder: Path, endpoint: str, more: str = "") -> Lake:
    config = folder / "lakecore.toml"
    config.write_text(f'[query]\nspark = "{endpoint}"\n{more}')
    return lakecore.open(folder / "lake", actor="ada", config=config)


def _numbers(lake: Lake, count: int) -> None:
    lake.create("n", key=["i"])
    lake.insert("n", pa.table({"i": pa.array(range(count), pa.int64())}))


@pytest.fixture
def lake(spark_endpoint: str, tmp_path: Path) -> Iterator[Lake]:
    """A lake with many numbers, and a server that reads it."""
    with _open(tmp_path, spark_endpoint) as made:
        _numbers(made, 4_000)
        yield made


def test_what_changes_rows_is_not_run(lake: Lake) -> None:
    """Read-only is of the plan; files and functions of the server's are not to be had."""
    for statement in ("delete from n", "drop table n", "create view v as select 1"):
        with pytest.raises(Refused, match="read-only"):
            lake.sql(statement, engine="spark")
    for statement in (
        "select * from parquet.`/etc/passwd`",
        'select * from csv."/etc/passwd"',
        "select * from read_csv('/etc/passwd')",
        "select reflect('java.lang.System', 'getenv', 'HOME')",
        "select java_method('java.lang.System', 'getenv')",
        "select input_file_name() from n",
    ):
        with pytest.raises((InvalidInput, NotFound)):
            lake.sql(statement, engine="spark")
    assert lake.sql("select count(*) as c from n").to_pylist() == [{"c": 4_000}]


def test_an_engine_that_is_not_there(tmp_path: Path) -> None:
    """No server is set; no such engine; no address; a lake that only this process has."""
    with lakecore.open(tmp_path / "lake", actor="ada") as lake:
        with pytest.raises(InvalidInput, match="no Spark server is set"):
            lake.sql("select 1", engine="spark")
        with pytest.raises(InvalidInput, match="datafusion or spark"):
            lake.sql("select 1", engine="duckdb")
    with pytest.raises(InvalidInput) as caught:
        SparkServer("http://somewhere/;token=hidden")
    assert "hidden" not in str(caught.value)


def test_the_engine_of_the_settings(spark_endpoint: str, tmp_path: Path) -> None:
    """It is the one that queries run on; changes, workspaces and what is said here are not."""
    with _open(tmp_path, spark_endpoint, 'engine = "spark"\n') as lake:
        _numbers(lake, 10)
        with pytest.raises(InvalidInput, match="same on Spark"):
            lake.sql("select median(i) from n")
        assert lake.sql("select median(i) as m from n", engine="datafusion").to_pylist()
        assert lake.as_of("n", version=0).to_arrow().num_rows == 10
        space = lake.workspace("w")
        assert space.sql("select count(*) as c from n").to_pylist() == [{"c": 10}]
        with pytest.raises(InvalidInput, match="outside of workspaces"):
            space.sql("select count(*) as c from n", engine="spark")


def test_time_is_over(lake: Lake) -> None:
    """A query ends at its limit, here and on the server, which answers the next one."""
    started = time.monotonic()
    with pytest.raises(Unavailable, match="time limit"):
        lake.sql(_LONG, engine="spark", timeout_s=1.0).to_arrow()
    assert time.monotonic() - started < 30
    assert lake.sql("select max(i) as m from n", engine="spark").to_pylist() == [{"m": 3_999}]


def test_a_query_is_cancelled(lake: Lake) -> None:
    """From another thread, while it is waited for."""
    result = lake.sql(_LONG, engine="spark")
    threading.Timer(0.5, result.cancel).start()
    with pytest.raises(Unavailable, match="cancelled"):
        result.to_arrow()


def test_the_server_is_killed_during_a_query(tmp_path: Path) -> None:
    """The query fails with `Unavailable`, and so does the next; the lake is as it was."""
    with spark_server() as (endpoint, process), _open(tmp_path, endpoint) as lake:
        _numbers(lake, 4_000)
        rows = "select a.i, b.i as j from n a cross join n b"
        begun = iter(lake.sql(rows, engine="spark"))
        assert next(begun).num_rows  # rows were returned: this one is not begun again
        waiting = lake.sql(_LONG, engine="spark")
        threading.Timer(0.5, process.kill).start()
        with pytest.raises(Unavailable) as caught:
            waiting.to_arrow()
        assert (caught.value.exit_code, caught.value.where) == (4, endpoint)
        with pytest.raises(Unavailable):
            for _ in begun:
                pass
        result = lake.sql("select 1 as x", engine="spark")
        with pytest.raises(Unavailable):
            result.to_arrow()
        assert result._stream._stream.tries == MAX_TRIES
        assert lake.verify(full=True).status == "green"


def test_a_query_that_returned_nothing_is_begun_again(tmp_path: Path) -> None:
    """A server that comes back within the tries is asked once more; what has rows is not."""
    with spark_server() as (endpoint, first), _open(tmp_path, endpoint) as lake:
        _numbers(lake, 10)
        lake.sql("select 1", engine="spark").to_arrow()
        first.kill()
        first.wait()
        result = lake.sql("select count(*) as c from n", engine="spark")
        port = endpoint.rpartition(":")[2]
        command = [sys.executable, "-m", "pysail", "spark", "server", "--port", port]
        with subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as second:
            try:
                assert result.to_pylist() == [{"c": 10}]
                assert result._stream._stream.tries > 1
            finally:
                second.kill()


def test_the_command_line(lake: Lake, spark_endpoint: str, tmp_path: Path) -> None:
    """`sql --engine spark` prints what `sql` prints; a dead server is exit 4."""
    query = "select i, i / 3 as third from n where i < 5 order by i"

    def run(engine: str, endpoint: str) -> subprocess.CompletedProcess[str]:
        program = "from lakecore.cli import main; main()"
        command = [sys.executable, "-c", program, "--lake", str(tmp_path / "lake"), "sql"]
        return subprocess.run(
            [*command, query, "--format", "json", "--engine", engine],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "LAKECORE_QUERY__SPARK": endpoint},
        )

    ours, theirs = (run(engine, spark_endpoint) for engine in ("datafusion", "spark"))
    assert (ours.returncode, theirs.returncode, theirs.stderr) == (0, 0, ""), theirs.stderr
    assert json.loads(theirs.stdout) == json.loads(ours.stdout) != []
    dead = run("spark", "sc://127.0.0.1:1")
    assert dead.returncode == 4
    assert "the Spark server does not answer" in dead.stderr
    assert "Traceback" not in dead.stderr


@pytest.fixture(scope="module")
def served(spark_endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A gateway whose lake knows a Spark server."""
    more = f'[query]\nspark = "{spark_endpoint}"\n'
    with serving(tmp_path_factory.mktemp("spark"), more=more) as served:
        served.lake.create("secret", key=["k"])
        served.lake.insert("secret", pa.table({"k": [1]}))
        yield served


def test_scopes_hold_on_spark(served: Served) -> None:
    """A key reads what it may read, by whatever name, and nothing else of the lake or server."""
    client = served.as_("bob", "read:planes")

    def ask(sql: str, **more: Any) -> Any:
        return client.post("/query/sql", json={"sql": sql, "engine": "spark", **more})

    found = good(ask("select tailnum, seats from planes order by tailnum"))
    assert found["items"] == PLANES
    assert slug(ask("select * from secret"), 403)
    for sql in (
        "select * from as_of('secret', 0)",
        'select * from "secret@0"',
        "select * from planes where exists (select 1 from secret)",
        "select * from changes('secret', 0, 1)",
        "select * from system.journal",
    ):
        assert ask(sql).status_code == 403, sql
    assert ask("select * from planes", engine="duckdb").status_code == 400
    assert ask("select * from planes", workspace="w").status_code == 404


def test_the_client_names_the_engine(served: Served) -> None:
    """The same call over HTTP."""
    with lakecore.Client(served.url, key=served.key("eve", "read:*")) as client:
        rows = client.sql("select count(*) as c from planes", engine="spark").to_pylist()
    assert rows == [{"c": 3}]


def test_a_lake_in_a_bucket(s3_endpoint: str, tmp_path: Path) -> None:
    """The server reads the bucket with credentials of its own: tables, versions, the journal."""
    options = s3_options(s3_endpoint)
    environment = {
        "AWS_ENDPOINT": s3_endpoint,
        "AWS_ENDPOINT_URL": s3_endpoint,
        "AWS_ALLOW_HTTP": "true",
        "AWS_REGION": options["region"],
        "AWS_ACCESS_KEY_ID": options["access_key_id"],
        "AWS_SECRET_ACCESS_KEY": options["secret_access_key"],
        "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "false",
    }
    with spark_server(more=environment) as (endpoint, _):
        config = tmp_path / "lakecore.toml"
        lines = [f"[query]\nspark = '{endpoint}'", "[storage.options]"]
        config.write_text("\n".join(lines + [f"{k} = '{v}'" for k, v in options.items()]))
        uri = f"s3://{BUCKET}/spark-{tmp_path.name}"
        with lakecore.open(uri, actor="ada", config=config) as lake:
            _numbers(lake, 100)
            lake.delete("n", where="i >= 60")
            lake.journal.seal()
            for query in (
                "select count(*) as c, sum(i) as s from n",
                "select count(*) as c from as_of('n', 0)",
                "select action, count(*) as c from system.journal group by 1",
            ):
                ours, theirs = (
                    lake.sql(query, engine=engine).to_pylist() for engine in ("datafusion", "spark")
                )
                assert sorted(map(repr, theirs)) == sorted(map(repr, ours)) != []
