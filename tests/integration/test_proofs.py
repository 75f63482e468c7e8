"""A proof of a real lake, checked without Lakecore: by the example and by the page's commands."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

import lakecore
from lakecore.cli import root
from lakecore.tlog import LogProof

REPOSITORY = Path(__file__).parents[2]
SCRIPT = REPOSITORY / "examples" / "check_proof.py"
PAGE = REPOSITORY / "docs" / "proofs.md"
COMMANDS = re.findall(r"```bash\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def lakecore_command(lake: Path, *arguments: str) -> str:
    """What ``lakecore`` prints."""
    result = CliRunner().invoke(root, ["--lake", str(lake), *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a proof, its event and the key, of a lake with 300 events."""
    folder = tmp_path_factory.mktemp("proof")
    with lakecore.open(folder / "lake", actor="ada") as lake:
        lake.create("planes", key=["tailnum"])
        lake.insert("planes", [{"tailnum": f"N{n}", "model": "ü\n√%s\\x41"} for n in range(300)])
        lake.journal.record_update("note", "1", "text", "%s", "√%d \\n\\x41", actor="ada")
    lakecore_command(folder / "lake", "journal", "checkpoint")
    events = json.loads(lakecore_command(folder / "lake", "journal", "recent", "--json"))
    seq = str(events[0]["seq"])
    output = str(folder / "row.tlog-proof")
    lakecore_command(folder / "lake", "journal", "prove", seq, "-o", output)
    keys = json.loads(lakecore_command(folder / "lake", "journal", "key", "show", "--json"))
    (folder / "verifier.key").write_text(keys[0]["vkey"] + "\n")
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy of the three files, to change."""
    for name in ("row.tlog-proof", "row.entry", "verifier.key"):
        shutil.copy(made / name, tmp_path)
    return tmp_path


def check(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """The example's answer."""
    key = (folder / "verifier.key").read_text().strip()
    command = [sys.executable, *options, str(SCRIPT), "row.tlog-proof", "row.entry", key]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def by_hand(folder: Path, commands: str) -> subprocess.CompletedProcess[str]:
    """What the page's commands print."""
    return subprocess.run(
        ["bash", "-c", commands], cwd=folder, capture_output=True, text=True, check=False
    )


def test_the_script_accepts_a_proof(folder: Path) -> None:
    """Leaf, path and signature hold."""
    result = check(folder)
    assert (result.returncode, result.stderr) == (0, "")
    assert "signature  by lakecore/" in result.stdout


def test_the_script_is_on_its_own() -> None:
    """It imports the standard library, and the one library for signatures."""
    imported = re.findall(r"^ *(?:from|import) ([\w.]+)", SCRIPT.read_text(), re.MULTILINE)
    others = {name.split(".")[0] for name in imported} - set(sys.stdlib_module_names)
    assert others == {"cryptography"}


def test_without_the_library_the_signature_is_not_checked(folder: Path) -> None:
    """It says so, and exits with 3."""
    result = check(folder, "-S")  # without installed packages
    assert result.returncode == 3
    assert "UNCHECKED" in result.stdout


def change(name: str, pattern: str, new: str) -> Callable[[Path], None]:
    """A change of the first match in a file."""

    def apply(folder: Path) -> None:
        text = (folder / name).read_text(encoding="utf-8")
        changed = re.sub(pattern, new, text, count=1)
        assert changed != text
        (folder / name).write_text(changed, encoding="utf-8")

    return apply


def other_key(folder: Path) -> None:
    from lakecore.tlog import Signer

    name = (folder / "verifier.key").read_text().split("+")[0]
    (folder / "verifier.key").write_text(Signer(name, bytes(32)).vkey)


TAMPERED = {
    "event": change("row.entry", "ada", "eve"),
    "index": change("row.tlog-proof", r"index (\d+)", r"index 1\1"),
    "size": change("row.tlog-proof", r"(\nlakecore/.*\n)(\d+)", r"\g<1>9\2"),
    "path": change("row.tlog-proof", r"(index \d+\n)(.*\n)", r"\1"),
    "longer path": change("row.tlog-proof", r"(index \d+\n)(.*\n)", r"\1\2\2"),
    "root": change("row.tlog-proof", r"(\n\d+\n)(.*\n)", r"\g<1>" + "A" * 43 + "=\\n"),
    "origin": change("row.tlog-proof", r"\nlakecore/", "\nlakecose/"),
    "key": other_key,
}


@pytest.mark.parametrize("tampering", sorted(TAMPERED))
def test_the_script_finds_what_was_changed(folder: Path, tampering: str) -> None:
    """No changed part of any of the three files passes."""
    TAMPERED[tampering](folder)
    result = check(folder)
    assert result.returncode in (1, 2), result.stdout
    assert "WRONG" in result.stdout or "cannot be read" in result.stderr


def test_the_page_has_three_commands() -> None:
    """The leaf, the path, the signature: all of them are run below."""
    assert len(COMMANDS) == 3


def test_the_commands_of_the_page_accept_a_proof(folder: Path) -> None:
    """sha256sum gives the leaf, the loop the root, openssl the signature."""
    leaf, path, signature = COMMANDS
    assert by_hand(folder, leaf).stdout.split()[0] in check(folder).stdout
    assert by_hand(folder, path).stdout == "the root is right\n"
    if shutil.which("openssl"):
        result = by_hand(folder, signature)
        assert (result.returncode, "Verified Successfully" in result.stdout) == (0, True)


@pytest.mark.parametrize("seq", [0, 1, 137, 255, 256, 300])
def test_the_commands_of_the_page_find_any_event(made: Path, tmp_path: Path, seq: int) -> None:
    """Left, right and middle of the tree, short paths and long ones."""
    output = str(tmp_path / "row.tlog-proof")
    lakecore_command(made / "lake", "journal", "prove", str(seq), "-o", output)
    shutil.copy(made / "verifier.key", tmp_path)
    assert LogProof.parse((tmp_path / "row.tlog-proof").read_bytes()).index == seq
    assert by_hand(tmp_path, COMMANDS[1]).stdout == "the root is right\n"
    assert check(tmp_path).returncode == 0


@pytest.mark.parametrize("tampering", ["event", "index", "size", "path", "root"])
def test_the_commands_of_the_page_find_what_was_changed(folder: Path, tampering: str) -> None:
    """The loop does not lead to the root, or the signature is not over that text."""
    TAMPERED[tampering](folder)
    _, path, signature = COMMANDS
    is_root = by_hand(folder, path).stdout == "the root is right\n"
    is_signed = not shutil.which("openssl") or by_hand(folder, signature).returncode == 0
    assert not (is_root and is_signed)


def test_the_commands_of_the_page_need_the_right_key(folder: Path) -> None:
    """Another key of the same name did not sign this."""
    if not shutil.which("openssl"):
        return
    other_key(folder)
    assert by_hand(folder, COMMANDS[2]).returncode != 0


def test_the_same_proof_by_event_id(made: Path) -> None:
    """A seq and an id name the same event; --json has proof and entry."""
    entry = json.loads((made / "row.entry").read_text())
    shown = json.loads(
        lakecore_command(made / "lake", "journal", "prove", entry["event_id"], "--json")
    )
    assert shown["entry"].encode() == (made / "row.entry").read_bytes()
    assert shown["proof"].encode() == (made / "row.tlog-proof").read_bytes()


def test_init_makes_the_key(tmp_path: Path) -> None:
    """For its owner alone, and not in what the lake shows or stores elsewhere."""
    lakecore_command(tmp_path / "lake", "init")
    path = tmp_path / "lake" / ".local" / "signing-key.json"
    assert path.stat().st_mode & 0o777 == 0o600
    seed = json.loads(path.read_text())["keys"][0]["seed"]
    before = path.read_bytes()
    for command in (["init"], ["journal", "checkpoint"], ["journal", "key", "show", "--json"]):
        assert seed not in lakecore_command(tmp_path / "lake", *command)
    assert path.read_bytes() == before
    for other in (tmp_path / "lake").rglob("*"):
        if other.is_file() and other != path:
            assert seed.encode() not in other.read_bytes()
