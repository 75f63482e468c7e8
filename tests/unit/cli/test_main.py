"""Global options, exit codes and the one shape of errors."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.fakes.fake_lake import FakeLake
from tests.unit.cli.conftest import Run

from lakecore._version import __version__
from lakecore.base import (
    Bug,
    CorruptData,
    Inconclusive,
    InvalidInput,
    LakecoreError,
    Refused,
    Unavailable,
)
from lakecore.cli import root
from lakecore.cli._reference import commands, reference_markdown

REPOSITORY = Path(__file__).parents[3]
LAKECORE = [sys.executable, "-c", "from lakecore.cli import main; main()"]


def test_the_version_is_printed_and_nothing_heavy_is_imported() -> None:
    """`--version` answers without Arrow, engines or the packages below."""
    program = (
        "import sys\n"
        "from lakecore.cli import main\n"
        "sys.argv = ['lakecore', '--version']\n"
        "try:\n    main()\n"
        "except SystemExit: pass\n"
        "heavy = {'pyarrow', 'polars', 'datafusion', 'duckdb', 'deltalake', 'obstore', 'rich',\n"
        "         'numpy', 'msgspec', 'fastapi', 'pydantic', 'uvicorn',\n"
        "         'lakecore.app', 'lakecore.journal', 'lakecore.config'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert answer.stdout.splitlines() == [f"lakecore {__version__}", "[]"]


def test_the_version_is_quick() -> None:
    """The best of a few starts takes well under half a second on a busy machine."""
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        subprocess.run([*LAKECORE, "--version"], check=True, capture_output=True)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.4


def test_the_reference_page_is_what_the_commands_say() -> None:
    """docs/cli.md is written by scripts/generate_cli_docs.py, not by hand."""
    page = (REPOSITORY / "docs" / "cli.md").read_text(encoding="utf-8")
    assert page == reference_markdown()


@pytest.mark.parametrize(
    "path", [ctx.command_path for ctx, _ in commands()], ids=lambda path: path.replace(" ", "-")
)
def test_every_command_has_help_with_an_example(path: str) -> None:
    """Help says what a command does, shows the global options and an example."""
    result = CliRunner().invoke(root, [*path.split()[1:], "--help"])
    assert result.exit_code == 0
    assert "Example" in result.stdout
    assert "lakecore" in result.stdout.split("Example")[1]
    for option in ("--lake", "--config", "--json"):
        assert option in result.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["--lake", "there", "--config", "c.toml", "datasets"],
        ["datasets", "--lake", "there", "--config", "c.toml"],
        ["--lake", "elsewhere", "datasets", "--lake", "there", "--config", "c.toml"],
    ],
)
def test_global_options_stand_before_or_after_the_command(
    run: Run, lake: FakeLake, arguments: list[str]
) -> None:
    """The one after the command wins."""
    lake.answers["datasets"] = []
    assert run(*arguments).exit_code == 0
    assert (lake.opened["uri"], lake.opened["config"]) == ("there", "c.toml")
    assert lake.opened["create"] is False


def test_json_in_a_group_is_json_in_its_commands(run: Run, lake: FakeLake) -> None:
    """`journal --json stats`, `journal stats --json`, `--json journal stats`."""
    lake.journal.answers["stats"] = {"tree_size": 7}
    for arguments in (
        ["--json", "journal", "stats"],
        ["journal", "--json", "stats"],
        ["journal", "stats", "--json"],
    ):
        assert json.loads(run(*arguments).stdout) == {"tree_size": 7}


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [
        (Refused("the dataset is protected"), 1),
        (CorruptData("a segment is torn"), 1),
        (Bug("this cannot be"), 1),
        (InvalidInput("no such column"), 2),
        (Inconclusive("the signer's key is not here"), 3),
        (Unavailable("the store does not answer"), 4),
    ],
)
def test_exit_codes_of_errors(
    run: Run, lake: FakeLake, error: LakecoreError, exit_code: int
) -> None:
    """Each class of error has its documented code; stdout stays empty."""
    lake.answers["datasets"] = error
    result = run("datasets")
    assert result.exit_code == exit_code
    assert result.stdout == ""
    assert result.stderr == f"error: {error.message}\n"
    assert lake.closed


def test_an_error_is_shown_in_one_shape(run: Run, lake: FakeLake) -> None:
    """Message, then expected, found, where and hint; control characters are escaped."""
    lake.answers["datasets"] = InvalidInput(
        "no such column", expected="tailnum", found="tail\x1b[31m", where="planes", hint="look"
    )
    assert run("datasets").stderr == (
        "error: no such column\n"
        "  expected: tailnum\n"
        "  found:    tail\\x1b[31m\n"
        "  where:    planes\n"
        "  hint:     look\n"
    )


def test_an_error_is_an_object_with_json(run: Run, lake: FakeLake) -> None:
    """The same parts, with type and exit code."""
    lake.answers["datasets"] = Unavailable("busy", where="s3://b")
    result = run("datasets", "--json")
    assert json.loads(result.stderr) == {
        "error": {"type": "unavailable", "message": "busy", "where": "s3://b", "exit_code": 4}
    }
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["journl"], "error: there is no command 'journl'; did you mean 'journal'?\n"),
        (["zzz"], "error: there is no command 'zzz'\n"),
        (["sql"], "error: missing argument 'QUERY'\n  hint:     lakecore sql --help\n"),
        (["datasets", "--lak"], "error: no such option"),
        (["journal", "recent", "--limit", "0"], "error: invalid value for '--limit'"),
    ],
)
def test_bad_usage_is_exit_code_2(run: Run, arguments: list[str], message: str) -> None:
    """Usage errors have the shape of all errors."""
    result = run(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr


def test_no_command_shows_the_help(run: Run) -> None:
    """`lakecore` alone is bad usage, with everything needed to do better, on stderr."""
    result = run()
    assert (result.exit_code, result.stdout) == (2, "")
    assert "ingest" in result.stderr


def test_an_unexpected_error_is_a_bug(
    run: Run, lake: FakeLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One shape, exit code 1, and how to get the traceback."""
    lake.answers["datasets"] = ZeroDivisionError("division by zero")
    result = run("datasets")
    assert result.exit_code == 1
    assert result.stderr == (
        "error: this is a bug in Lakecore\n"
        "  found:    ZeroDivisionError: division by zero\n"
        "  hint:     run it again with LAKECORE_TRACEBACK=1 and report what it prints\n"
    )
    monkeypatch.setenv("LAKECORE_TRACEBACK", "1")
    assert "Traceback (most recent call last)" in run("datasets").stderr


def test_a_system_error_names_the_path(run: Run, lake: FakeLake) -> None:
    """What the operating system refuses is no bug of ours."""
    lake.answers["datasets"] = PermissionError(13, "Permission denied", "lake/x")
    result = run("datasets")
    assert result.exit_code == 2
    assert result.stderr == "error: permission denied\n  where:    lake/x\n"


def test_an_interrupt_is_exit_code_130(run: Run, lake: FakeLake) -> None:
    """Ctrl-C ends quietly, the lake closed."""
    lake.answers["datasets"] = KeyboardInterrupt()
    result = run("datasets")
    assert (result.exit_code, result.stderr) == (130, "interrupted\n")
    assert lake.closed


def test_no_command_imports_pandas(tmp_path: Path) -> None:
    """A query runs without it, though it is installed; so does what would use it if it were."""
    program = (
        "import sys\n"
        "from lakecore.cli import main\n"
        "for asked in (['init'], ['sql', 'select 1']):\n"
        f"    sys.argv = ['lakecore', '--lake', {str(tmp_path / 'lake')!r}, *asked]\n"
        "    try:\n        main()\n"
        "    except SystemExit as ended: assert not ended.code\n"
        "assert 'pyarrow' in sys.modules\n"
        "print([name for name in sys.modules if name.startswith('pandas.')], file=sys.stderr)\n"
        "import polars\n"
        "assert polars.DataFrame([{'a': 1}]).to_arrow().num_rows == 1\n"
        "assert 'pandas' not in sys.modules\n"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    assert answer.stderr.splitlines()[-1] == "[]"


def test_a_closed_pipe_is_quiet() -> None:
    """`lakecore … | head -1`: no traceback, no error, exit code 0."""
    pipeline = f"{sys.executable} -c 'from lakecore.cli import main; main()' --help"
    answer = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {pipeline} | true"], capture_output=True, text=True
    )
    assert answer.stderr == ""
    assert answer.returncode == 0


def test_a_wrong_setting_is_exit_code_2(monkeypatch: pytest.MonkeyPatch) -> None:
    """The configuration is checked by the command that asks for it."""
    monkeypatch.setenv("LAKECORE_QUERY__TIMEOUT_S", "soon")
    result = CliRunner().invoke(root, ["config", "check"])
    assert result.exit_code == 2
    assert "expected: a number" in result.stderr


def test_settings_are_shown_with_their_origin(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`config show`, for people and for programs; the option counts, too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LAKECORE_QUERY__TIMEOUT_S", "7")
    result = CliRunner().invoke(root, ["--lake", "x", "config", "show"])
    lines = {" ".join(line.split()) for line in result.stdout.splitlines()}
    assert "query.timeout_s 7.0 environment LAKECORE_QUERY__TIMEOUT_S" in lines
    assert "lake.uri x option" in lines
    shown = json.loads(CliRunner().invoke(root, ["config", "show", "--json"]).stdout)
    assert {
        "section": "query",
        "name": "timeout_s",
        "value": 7.0,
        "origin": "environment LAKECORE_QUERY__TIMEOUT_S",
    } in shown


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell: str) -> None:
    """Each shell gets a script that calls lakecore back."""
    result = CliRunner().invoke(root, ["completion", shell])
    assert result.exit_code == 0
    assert "_LAKECORE_COMPLETE" in result.stdout


def test_completion_knows_the_commands() -> None:
    """What the script calls: lazily known commands and their options are offered."""
    words = {"COMP_WORDS": "lakecore jour", "COMP_CWORD": "1"}
    answer = subprocess.run(
        LAKECORE,
        env={"_LAKECORE_COMPLETE": "bash_complete", **words},
        capture_output=True,
        text=True,
    )
    assert answer.stdout == "plain,journal\n"
