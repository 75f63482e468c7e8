"""deploy/ and docs/running.md: what can be checked of them without a container engine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from lakecore._version import __version__
from lakecore.config import load

REPOSITORY = Path(__file__).parents[2]
DEPLOY = REPOSITORY / "deploy"
PAGES = [*sorted(DEPLOY.iterdir()), REPOSITORY / "docs" / "running.md"]
SETTING = re.compile(r"\bLAKECORE_[A-Z0-9_]+\b")
COMMAND = re.compile(
    r"(?:^|[\s`/])lakecore (?!lakecore\b)([a-z]+(?: (?:create|list|show|check))?)\b"
)


def compose() -> dict[str, Any]:
    """deploy/compose.yaml."""
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_settings_that_are_named_are_there(page: Path, tmp_path: Path) -> None:
    """Every variable is one that the settings know."""
    known = {"LAKECORE_LAKE", "LAKECORE_ACTOR", "LAKECORE_CONFIG"}
    for name in sorted(set(SETTING.findall(page.read_text())) - known):
        if "__" not in name:
            assert name.startswith("LAKECORE_WEBHOOK_"), name
            continue
        section, setting = name.removeprefix("LAKECORE_").lower().split("__")[:2]
        loaded = load(environ={}, directory=tmp_path)
        assert hasattr(getattr(loaded.settings, section), setting), name


def test_values_in_the_files_are_right(tmp_path: Path) -> None:
    """They load as settings, whole: the container's, the service's, the compose file's."""
    container = re.findall(
        r"^\s+(LAKECORE_\w+)=(\S+)", (DEPLOY / "Containerfile").read_text(), re.M
    )
    service = re.findall(r"^Environment=(LAKECORE_\w+)=(.+)$", unit(), re.M)
    environs = [dict(container), dict(service), compose()["services"]["lakecore"]["environment"]]
    for environ in environs:
        assert len(environ) >= 2
        settings = load(environ=environ, directory=tmp_path).settings
        assert settings.gateway.log_format == "json"
    assert environs[0]["LAKECORE_GATEWAY__HOST"] == "0.0.0.0"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_that_are_named_are_there(page: Path) -> None:
    """Every `lakecore …` is a command of the command line."""
    import click

    from lakecore.cli._main import root

    context = click.Context(root)
    for words in COMMAND.findall(page.read_text()):
        first, *rest = words.split()
        command = root.get_command(context, first)
        assert command is not None, words
        if rest and isinstance(command, click.Group):
            assert command.get_command(context, rest[0]) is not None, words


def test_the_compose_file_holds_together() -> None:
    """Names that are referred to are there, nothing is open to others, no secret is written."""
    document = compose()
    services = document["services"]
    assert set(services) == {"store", "bucket", "lakecore"}
    for service in services.values():
        assert set(service.get("depends_on") or ()) <= set(services)
        for volume in service.get("volumes", ()):
            assert volume.partition(":")[0] in document["volumes"]
        for port in service.get("ports", ()):
            assert port.startswith("127.0.0.1:")
        for name, value in service.get("environment", {}).items():
            if "SECRET" in name:
                assert re.fullmatch(r"\$\{\w+:\?\}", value), name
    gateway = services["lakecore"]
    assert (DEPLOY / gateway["build"]["context"] / gateway["build"]["dockerfile"]).is_file()
    assert (gateway["read_only"], gateway["cap_drop"]) == (True, ["ALL"])
    bucket = gateway["environment"]["LAKECORE_LAKE"].split("/")[2]
    assert f"--bucket {bucket}" in services["bucket"]["command"][0]


def unit() -> str:
    """deploy/lakecore.service."""
    return (DEPLOY / "lakecore.service").read_text()


def test_the_container_is_nobodys_root() -> None:
    """Two stages, an unprivileged user, a health check that asks what is open."""
    text = (DEPLOY / "Containerfile").read_text()
    stages = re.findall(r"^FROM (\S+)", text, re.M)
    assert len(stages) == 2
    last = text.rpartition("\nFROM ")[2]
    assert re.search(r"^USER [1-9]\d*$", last, re.M)
    assert "COPY --from=build" in last
    assert "RUN pip" not in last
    assert "/health" in last
    for source in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.M):
        for name in source.split():
            assert (REPOSITORY / name).exists(), name


def test_the_constraints_of_the_image_are_versions() -> None:
    """What the container file makes of the lock: a version each, and nothing else."""
    from packaging.requirements import Requirement

    text = (DEPLOY / "Containerfile").read_text()
    script = re.search(r"sed -E (-e '.+?' -e '.+?') requirements", text)
    assert script is not None
    made = subprocess.run(
        f"sed -E {script[1]} requirements/dev.txt",
        shell=True,
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    found = [Requirement(line) for line in made.splitlines() if line.strip()]
    assert {"pyarrow", "fastapi", "deltalake"} <= {one.name for one in found}
    assert all(str(one.specifier).startswith("==") for one in found)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_the_unit_is_one_that_systemd_takes(tmp_path: Path) -> None:
    """No unknown name, no bad value; exposed as little as a gateway can be."""
    program = tmp_path / "lakecore"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    copy = tmp_path / "lakecore.service"
    copy.write_text(unit().replace("/opt/lakecore/bin/lakecore", str(program)))
    verified = subprocess.run(
        ["systemd-analyze", "verify", str(copy)], capture_output=True, text=True, check=False
    )
    assert [line for line in verified.stderr.splitlines() if "lakecore.service" in line] == []
    assert verified.returncode == 0, verified.stderr
    secure = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", str(copy)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert secure.returncode == 0, secure.stdout[-300:]


def test_the_unit_is_hardened() -> None:
    """What has to stay, also where there is no systemd to ask."""
    for line in (
        "DynamicUser=yes",
        "ProtectSystem=strict",
        "NoNewPrivileges=yes",
        "CapabilityBoundingSet=",
        "StateDirectory=lakecore",
        "RestartPreventExitStatus=1 2",
    ):
        assert f"\n{line}\n" in unit(), line


def test_a_wheel_runs_in_an_environment_of_its_own(tmp_path: Path) -> None:
    """Built without a network; it has the package and no test; its command says its version."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=REPOSITORY,
        capture_output=True,
        check=True,
    )
    (wheel,) = tmp_path.glob("lakecore-*.whl")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "v")], check=True)
    (site,) = (tmp_path / "v" / "lib").glob("python3*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(site)
    assert "lakecore/py.typed" in names or not (REPOSITORY / "src/lakecore/py.typed").exists()
    assert not [name for name in names if name.startswith("tests/")]
    entry = next(site.glob("lakecore-*.dist-info/entry_points.txt")).read_text()
    assert "lakecore = lakecore.cli:main" in entry
    ran = subprocess.run(
        [str(tmp_path / "v" / "bin" / "python"), "-c", RUN, "--version"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": _dependencies()},
        capture_output=True,
        text=True,
        check=True,
    )
    where, version = ran.stdout.splitlines()
    assert Path(where).is_relative_to(site)
    assert version == f"lakecore {__version__}"


RUN = "import lakecore; print(lakecore.__file__); from lakecore.cli import main; main()"


def _dependencies() -> str:
    """Where the libraries are that the wheel needs; the package itself is not there."""
    import click

    folder = Path(click.__file__).parents[1]
    assert not (folder / "lakecore").exists()
    return str(folder)


def test_make_up_serves_the_demo_lake() -> None:
    """On the address that is promised."""
    told = subprocess.run(
        ["make", "--dry-run", "up"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout
    assert "lakecore --lake demo-lake up --host 127.0.0.1 --port 3100" in told


def test_a_start_makes_nothing_that_it_does_not_need(tmp_path: Path) -> None:
    """What a gateway is ready without is not imported before it is: that is where seconds go."""
    code = (
        "import sys; from lakecore.app import open_gateway, open_lake\n"
        f"lake = open_lake({str(tmp_path / 'lake')!r}); gateway = open_gateway(lake, port=0)\n"
        "state = gateway.app.state.rooms\n"
        "for probe in state.probes.values(): probe()\n"
        "heavy = ('polars', 'duckdb', 'deltalake', 'prometheus_client', 'httpx', 'httpcore',\n"
        "  'opentelemetry.sdk', 'lakecore.truth', 'lakecore.changes')\n"
        "print(*sorted(set(heavy) & set(sys.modules)))\n"
        "for one in gateway._gateway._sockets: one.close()\n"
        "lake.close()\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert ran.stdout.split() == []
