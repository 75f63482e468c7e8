"""A commit in a folder: what is stored is written, nothing is run, nothing is outside."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from tests.unit.review.repositories import Project

from lakecore.base import Inconclusive
from lakecore.code import ExportLimits, Repository, export_tree


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """An empty repository."""
    (tmp_path / "repo").mkdir()
    return Project(tmp_path / "repo")


def export(project: Project, folder: Path, **limits: int) -> Path:
    """HEAD, written into a new folder."""
    folder.mkdir()
    with Repository.open(project.root) as repository:
        export_tree(repository, "HEAD", folder, limits=ExportLimits(**limits))
    return folder


def forged(project: Project, *entries: tuple[str, str, bytes]) -> None:
    """A commit of a tree as no `git add` would make it: (mode, name, content or target)."""

    def put(kind: str, data: bytes) -> str:
        command = ["git", "-C", str(project.root), "hash-object", "-w", "--literally", "-t", kind]
        done = subprocess.run([*command, "--stdin"], input=data, capture_output=True, check=True)
        return done.stdout.decode().strip()

    tree = b"".join(
        f"{mode} {name}\0".encode() + bytes.fromhex(put("blob", data))
        for mode, name, data in entries
    )
    commit = project.git("commit-tree", "-m", "forged", put("tree", tree)).strip()
    project.git("reset", "-q", "--soft", commit)


def test_what_is_stored_is_written(project: Project, tmp_path: Path) -> None:
    """Bytes, modes and links as git has them; filters, hooks and submodules stay away."""
    ran = tmp_path / "ran"
    project.write("src/a.py", "x = 1\r\n")
    project.write("run.sh", "#!/bin/sh\n")
    (project.root / "run.sh").chmod(0o755)
    (project.root / "src/up").symlink_to("../run.sh")
    (project.root / "here").symlink_to("src")
    project.write(".gitattributes", "* filter=evil text eol=crlf\nsrc/a.py export-ignore\n")
    project.commit()
    project.git("config", "filter.evil.smudge", f"touch {ran}; cat")
    for hook in ("post-checkout", "post-index-change"):
        file = project.root / ".git/hooks" / hook
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"#!/bin/sh\ntouch {ran}\n")
        file.chmod(0o755)
    project.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},sub/module")
    project.git("commit", "-q", "-m", "a submodule")
    ran.unlink(missing_ok=True)

    folder = export(project, tmp_path / "out")
    stored = subprocess.run(
        ["git", "-C", str(project.root), "cat-file", "blob", "HEAD:src/a.py"],
        capture_output=True,
        check=True,
    ).stdout
    assert (folder / "src/a.py").read_bytes() == stored
    assert (folder / "run.sh").stat().st_mode & 0o111
    assert (folder / "src/up").resolve() == (folder / "run.sh").resolve()
    assert (folder / "here/a.py").is_file()
    assert list((folder / "sub/module").iterdir()) == []
    assert not ran.exists()
    assert not (folder / ".git").exists()


@pytest.mark.parametrize(
    "entries",
    [
        [("120000", "link", b"/etc/passwd")],
        [("120000", "link", b"../secret")],
        [("120000", "link", b"a/../../secret")],
        [("120000", "link", b"x" * 5_000)],
        [("100644", "..", b"x = 1\n")],
        [("100644", ".GIT", b"x = 1\n")],
        [("120000", "p", b"."), ("120000", "p/q", b"../secret")],
    ],
    ids=["absolute", "up", "down and up", "long", "a name", "git's own", "through a link"],
)
def test_what_would_lead_out_is_refused(
    project: Project, tmp_path: Path, entries: list[tuple[str, str, bytes]]
) -> None:
    """Links and names that lead out of the folder."""
    forged(project, *entries)
    with pytest.raises(Inconclusive):
        export(project, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "repo"]


def test_it_is_bounded(project: Project, tmp_path: Path) -> None:
    """Bytes, bytes of one file, and files."""
    project.write("a", "x" * 100)
    project.write("b", "y" * 100)
    project.commit()
    for number, (name, limit) in enumerate((("bytes", 199), ("file_bytes", 99), ("files", 1))):
        with pytest.raises(Inconclusive):
            export(project, tmp_path / str(number), **{f"max_{name}": limit})
    export(project, tmp_path / "all", max_bytes=200, max_file_bytes=100, max_files=2)
