"""Servers to compare with, each started in a directory of its own and gone afterwards."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

_POSTGRES_PLACES = "usr/lib/postgresql/*/bin"
_START_TIMEOUT_S = 30.0


class Absent(Exception):
    """The peer is not installed here: it is reported so, and not measured."""


@contextmanager
def postgres() -> Iterator[str]:
    """A PostgreSQL server with fsync; its connection string, over a unix socket.

    PostgreSQL refuses to run as root, so root starts it as ``postgres`` or ``nobody``.
    """
    bin_folder = _postgres_bin()
    if find_spec("psycopg") is None:
        raise Absent("psycopg is not installed")
    folder = Path(tempfile.mkdtemp(prefix="lakecore-postgres-"))
    as_user: dict[str, Any] = {}
    if os.geteuid() == 0:
        as_user = {"user": _unprivileged(), "cwd": folder, "env": {"PATH": os.environ["PATH"]}}
        shutil.chown(folder, as_user["user"])
    data = folder / "data"

    def run(*command: str) -> None:
        subprocess.run(command, check=True, capture_output=True, timeout=120, **as_user)

    try:
        run(str(bin_folder / "initdb"), "-D", str(data), "-A", "trust", "-U", "bench")
        # A child, not a daemon: what ends this process's group ends the server, too.
        durable = ["-c", "fsync=on", "-c", "synchronous_commit=on", "-c", "listen_addresses="]
        with (folder / "log").open("w") as log:
            server = subprocess.Popen(
                [str(bin_folder / "postgres"), "-D", str(data), "-k", str(folder), *durable],
                stdout=log,
                stderr=log,
                **as_user,
            )
        try:
            import psycopg

            address = f"host={folder} user=bench dbname=postgres"
            _wait_for(lambda: psycopg.connect(address).close(), psycopg.OperationalError)
            yield address
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(timeout=60)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def redis() -> Iterator[Any]:
    """A client of a Redis server that syncs its append-only file with every write."""
    server = shutil.which("redis-server")
    if server is None:
        raise Absent("redis-server is not installed")
    if find_spec("redis") is None:
        raise Absent("the redis client is not installed")
    import redis as client

    with tempfile.TemporaryDirectory(prefix="lakecore-redis-") as folder:
        socket = f"{folder}/socket"
        durable = ["--appendonly", "yes", "--appendfsync", "always", "--save", ""]
        process = subprocess.Popen(
            [server, "--port", "0", "--unixsocket", socket, "--dir", folder, *durable],
            stdout=subprocess.DEVNULL,
        )
        try:
            connection = client.Redis(unix_socket_path=socket)
            _wait_for(connection.ping, client.exceptions.ConnectionError)
            yield connection
            connection.close()
        finally:
            process.terminate()
            process.wait(timeout=30)


def _wait_for(ask: Any, refused: type[Exception]) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while True:
        try:
            ask()
        except refused:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def _postgres_bin() -> Path:
    found = shutil.which("initdb")
    if found:
        return Path(found).parent
    places = sorted(Path("/").glob(_POSTGRES_PLACES))
    if not places:
        raise Absent("PostgreSQL is not installed")
    return places[-1]


def _unprivileged() -> str:
    import pwd

    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"
