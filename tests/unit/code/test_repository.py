"""Repositories made by the real git, read by ours."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import pytest
from tests.fakes.projects import Step, git, write_history

from lakecore.base import Inconclusive, InvalidInput, NotFound, Stop
from lakecore.code import ChangeKind, GitLimits, LineMap, Repository, SourceKind


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """An empty repository."""
    folder = tmp_path / "repo"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    return folder


def commit(place: Path, message: str, **files: str | bytes | None) -> str:
    """Write files (None removes one; ``__`` in a name is a slash, ``_dot_`` a dot), commit."""
    for name, content in files.items():
        path = place / name.replace("__", "/").replace("_dot_", ".")
        if content is None:
            path.unlink()
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    git(place, "add", "-A")
    git(place, "commit", "--quiet", "--allow-empty", "--allow-empty-message", "-m", message)
    return git(place, "rev-parse", "HEAD").strip()


def test_commits_have_messages_and_files(place: Path) -> None:
    """Added, modified, renamed, removed, mode changed: each is told, the newest first."""
    commit(place, "one\n\nbody\nof two lines", a_dot_py="x = 1\n" * 20, b_dot_txt="b\n")
    git(place, "mv", "a.py", "c.py")
    (place / "run.sh").write_text("#!/bin/sh\n")
    (place / "run.sh").chmod(0o755)
    commit(place, "two", b_dot_txt=None, d_dot_md="d\n")
    (place / "run.sh").chmod(0o644)
    commit(place, "three")
    with Repository.open(place) as repository:
        three, two, one = repository.commits("HEAD")
        assert one.message == "one\n\nbody\nof two lines"
        assert (one.subject, one.parents, one.author) == ("one", (), "A Person")
        assert {(f.kind, f.path) for f in one.files} == {
            (ChangeKind.ADDED, "a.py"),
            (ChangeKind.ADDED, "b.txt"),
        }
        assert {(f.kind, f.old_path, f.path) for f in two.files} == {
            (ChangeKind.REMOVED, "b.txt", "b.txt"),
            (ChangeKind.ADDED, "d.md", "d.md"),
            (ChangeKind.ADDED, "run.sh", "run.sh"),
            (ChangeKind.RENAMED, "a.py", "c.py"),
        }
        (mode,) = three.files
        assert (mode.old_mode, mode.mode, mode.content_changed) == ("100755", "100644", False)
        assert [c.sha for c in repository.commits("HEAD", oldest_first=True)] == [
            one.sha,
            two.sha,
            three.sha,
        ]
        assert [c.sha for c in repository.commits(f"{one.sha}..HEAD")] == [three.sha, two.sha]
        assert repository.count("HEAD") == 3
        assert repository.churn("HEAD")["run.sh"] == 2


def test_hunks_have_exact_lines(place: Path) -> None:
    """Lines that look like a diff's own are content; a line's number is followed both ways."""
    old = ["alpha", "--- a/x", "+++ b/x", "@@ -1 +1 @@", "beta", "gamma", "delta"]
    new = ["zero", "alpha", "--- a/y", "+++ b/x", "@@ -1 +1 @@", "beta", "delta", "diff --git a b"]
    commit(place, "one", f_dot_txt="\n".join(old) + "\n")
    commit(place, "two", f_dot_txt="\n".join(new))
    with Repository.open(place) as repository:
        diff = repository.diff_of(repository.commit())
    (file,) = diff.files
    lines = LineMap(file.hunks)
    for number, text in enumerate(old, start=1):
        there = lines.to_new(number)
        if there is not None:
            assert new[there - 1] == text
            assert lines.to_old(there) == number
    assert [text for n, text in enumerate(old, start=1) if lines.to_new(n) is None] == [
        "--- a/x",
        "gamma",
    ]
    assert (diff.added_lines, diff.removed_lines) == (3, 2)


def test_files_of_every_kind_in_one_diff(place: Path) -> None:
    """Binary files have no hunks and are opaque; the patches after them are still theirs."""
    commit(place, "one", a_dot_txt="a\n", b_dot_bin=bytes(range(256)), link="x", z_dot_txt="z\n")
    (place / "link").unlink()
    os.symlink("a.txt", place / "link")
    commit(place, "two", a_dot_txt="b\n", b_dot_bin=bytes(range(255)), z_dot_txt="y\n")
    with Repository.open(place) as repository:
        commit_ = repository.commit()
        files = {f.change.path: f for f in repository.diff_of(commit_).files}
        assert files["b.bin"].opaque
        assert not files["b.bin"].hunks
        assert files["a.txt"].hunks[0].added == ("b",)
        assert files["link"].change.kind is ChangeKind.RETYPED
        assert files["z.txt"].hunks[0].removed == ("z",)
        kinds = {e.path: repository.read_entry(e).kind for e in repository.tree(commit_.sha)}
        assert kinds["link"] is SourceKind.LINK
        assert kinds["b.bin"] is SourceKind.BINARY


def test_paths_of_any_bytes(tmp_path: Path) -> None:
    """Spaces, quotes, line ends, bytes that are no UTF-8, a leading dash: all come through."""
    names = ["a b.txt", 'q"uote.py', "new\nline", "caf\udce9.txt", "-dash", "tab\there", "ünï.py"]
    steps = [
        Step({name: "1\n" for name in names if "\n" not in name}, "one"),
    ]
    write_history(tmp_path / "r", steps)
    with Repository.open(tmp_path / "r") as repository:
        found = repository.commit("step0")
        assert {f.path for f in found.files} == {n for n in names if "\n" not in n}
        assert repository.read(found.sha, "-dash").text == "1\n"
        assert repository.read(found.sha, "caf\udce9.txt").text == "1\n"
        assert {line.path for line in repository.find(found.sha, "1").lines} == {
            n for n in names if "\n" not in n
        }


def test_merges_are_compared_with_their_first_parent(tmp_path: Path) -> None:
    """An octopus of three, and a first commit that has no parent."""
    base = {"a.txt": "a\n"}
    steps = [
        Step(base, "base"),
        Step(base | {"b.txt": "b\n"}, "left", (0,)),
        Step(base | {"c.txt": "c\n"}, "right", (0,)),
        Step(base | {"d.txt": "d\n"}, "far", (0,)),
        Step(base | {"b.txt": "b\n", "c.txt": "c\n", "d.txt": "d\n"}, "octopus", (1, 2, 3)),
    ]
    shas = write_history(tmp_path / "r", steps)
    with Repository.open(tmp_path / "r") as repository:
        octopus = repository.commit(shas[4])
        assert len(octopus.parents) == 3
        assert {f.path for f in octopus.files} == {"c.txt", "d.txt"}
        assert {f.change.path for f in repository.diff_of(octopus).files} == {"c.txt", "d.txt"}
        first = repository.commit(shas[0])
        assert [f.path for f in first.files] == ["a.txt"]
        assert repository.diff_of(first).added_lines == 1


def test_no_program_of_the_repository_runs(place: Path, tmp_path: Path) -> None:
    """External diff, textconv, pager, monitor, hooks, aliases: none of them is started."""
    mark = tmp_path / "ran"
    evil = tmp_path / "evil.sh"
    evil.write_text(f"#!/bin/sh\necho ran >> {mark}\ncat\n")
    evil.chmod(evil.stat().st_mode | stat.S_IXUSR)
    commit(place, "one", a_dot_txt="a\n", _dot_gitattributes="*.txt diff=evil filter=evil\n")
    commit(place, "two", a_dot_txt="b\n")
    for name in (
        "diff.external",
        "diff.evil.command",
        "diff.evil.textconv",
        "filter.evil.smudge",
        "filter.evil.clean",
        "core.pager",
        "core.fsmonitor",
        "core.sshCommand",
        "alias.log",
        "pager.log",
        "gpg.program",
    ):
        git(place, "config", name, str(evil))
    git(place, "config", "log.showSignature", "true")
    hooks = place / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    for hook in ("post-index-change", "pre-auto-gc"):
        (hooks / hook).write_text(evil.read_text())
        (hooks / hook).chmod(0o755)
    mark.unlink(missing_ok=True)
    with Repository.open(place) as repository:
        for found in repository.commits("HEAD"):
            repository.diff_of(found)
        repository.read("HEAD", "a.txt")
        repository.find("HEAD", "b")
        repository.tracked()
    assert not mark.exists()


def test_the_users_environment_is_not_followed(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Inside of a hook git names another repository by variables: they are dropped."""
    commit(place, "one", a_dot_txt="a\n")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", "false")
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", "'diff.external=false'")
    with Repository.open(place) as repository:
        assert repository.commit().subject == "one"


def test_what_is_no_repository_is_told(tmp_path: Path) -> None:
    """No folder, no repository, no commit, no such revision: errors that say which."""
    with pytest.raises(NotFound, match="no such directory"):
        Repository.open(tmp_path / "none")
    with pytest.raises(NotFound, match="no git repository"):
        Repository.open(tmp_path)
    git(tmp_path, "init", "--quiet")
    with Repository.open(tmp_path) as repository:
        with pytest.raises(NotFound) as caught:
            repository.commit()
        assert "no commit yet" in (caught.value.hint or "")
        for bad in ("", "--all", "a b", "x" * 2_000, "-1"):
            with pytest.raises(InvalidInput):
                repository.resolve(bad)


def test_git_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without git it says so, and what to install."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Stop, match="git is not installed"):
        Repository.open(tmp_path)


def test_a_shallow_clone_says_where_it_ends(place: Path, tmp_path: Path) -> None:
    """The last commit of a shallow clone is a boundary; what is before it is not found."""
    for number in range(3):
        commit(place, f"c{number}", a_dot_txt=f"{number}\n")
    git(tmp_path, "clone", "--quiet", "--depth=2", f"file://{place}", "clone")
    with Repository.open(tmp_path / "clone") as repository:
        newest, oldest = repository.commits("HEAD")
        assert (newest.boundary, oldest.boundary) == (False, True)
        assert repository.shallow == {oldest.sha}
        with pytest.raises(NotFound) as caught:
            repository.resolve("HEAD~2")
        assert "shallow" in (caught.value.hint or "")


def test_in_the_middle_of_a_merge(place: Path) -> None:
    """Commits are read as ever; the state is told; each unmerged file is listed once."""
    commit(place, "base", a_dot_txt="a\n")
    git(place, "checkout", "--quiet", "-b", "other")
    commit(place, "theirs", a_dot_txt="b\n")
    git(place, "checkout", "--quiet", "main")
    commit(place, "ours", a_dot_txt="c\n")
    with Repository.open(place) as repository:
        assert repository.state == "clean"
        with pytest.raises(AssertionError):
            git(place, "merge", "other")
        assert repository.state == "merging"
        assert repository.tracked() == ("a.txt",)
        assert repository.commit().subject == "ours"


def test_submodules_are_named_and_not_entered(place: Path, tmp_path: Path) -> None:
    """A submodule is an entry without content; a change of it is opaque."""
    inner = tmp_path / "inner"
    inner.mkdir()
    git(inner, "init", "--quiet")
    commit(inner, "inside", x_dot_py="x = 1\n")
    git(place, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(inner), "sub")
    commit(place, "with a submodule")
    with Repository.open(place) as repository:
        entries = {e.path: e for e in repository.tree("HEAD")}
        assert entries["sub"].is_submodule
        assert repository.read("HEAD", "sub").kind is SourceKind.SUBMODULE
        files = {f.change.path: f for f in repository.diff_of(repository.commit()).files}
        assert files["sub"].opaque


def test_messages_of_any_bytes(tmp_path: Path) -> None:
    """No UTF-8, control characters, one that is empty, one that is too long."""
    steps = [
        Step({"a": "1"}, b"caf\xe9 \x01\x1b[31m"),
        Step({"a": "2"}, b"", (0,)),
        Step({"a": "3"}, b"long\n\n" + b"x" * 500_000, (1,)),
    ]
    shas = write_history(tmp_path / "r", steps)
    with Repository.open(tmp_path / "r", limits=GitLimits(max_message_bytes=1_000)) as repository:
        odd, empty, long = (repository.commit(sha) for sha in shas)
    assert odd.message.startswith("caf\N{REPLACEMENT CHARACTER} ")
    assert (empty.message, empty.subject, empty.clipped) == ("", "", False)
    assert len(long.message) <= 1_000
    assert long.clipped


def test_bounds_are_kept(tmp_path: Path) -> None:
    """Too many files, too large a patch, too large a blob: cut, and said."""
    files = {f"f{number}.txt": "line\n" * 200 for number in range(30)}
    sha = write_history(tmp_path / "r", [Step(files | {"big.txt": "y" * 9_000}, "one")])[0]
    limits = GitLimits(max_patch_bytes=5_000, max_blob_bytes=8_000, max_files=10)
    with Repository.open(tmp_path / "r", limits=limits) as repository:
        found = repository.commit(sha)
        assert (len(found.files), found.clipped) == (10, True)
        diff = repository.diff_of(found)
        assert diff.clipped
        assert len(diff.files) < 30
        source = repository.read(sha, "big.txt")
        assert (source.kind, source.text, source.readable) == (SourceKind.HUGE, "", False)


def test_git_that_does_not_answer_is_given_up(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that takes longer than its bound is killed and inconclusive."""
    commit(place, "one", a_dot_txt="a\n")
    slow = tmp_path / "bin"
    slow.mkdir()
    (slow / "git").write_text(
        '#!/bin/sh\ncase "$*" in *version*) echo git version 2.40;; *) exec sleep 30;; esac\n'
    )
    (slow / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{slow}{os.pathsep}{os.environ['PATH']}")
    began = time.monotonic()
    with pytest.raises(Inconclusive, match="did not answer in time"):
        Repository.open(place, limits=GitLimits(timeout_s=0.3))
    assert time.monotonic() - began < 10


def test_a_missing_object_is_inconclusive(place: Path) -> None:
    """An object that is gone is no empty file."""
    commit(place, "one", a_dot_txt="a\n")
    with Repository.open(place) as repository:
        (entry,) = repository.tree("HEAD")
        (place / ".git" / "objects" / entry.blob[:2] / entry.blob[2:]).unlink()
        with pytest.raises(Inconclusive, match="is not there"):
            repository.read("HEAD", "a.txt")


def test_many_commits_take_no_memory(tmp_path: Path) -> None:
    """1,500 commits come by one at a time; the list is never held."""
    import tracemalloc

    steps = [Step({"a.txt": "0\n"}, "start")]
    steps += [
        Step({"a.txt": f"{n}\n"}, f"commit {n}\n\n" + "words " * 50, (n - 1,), whole=False)
        for n in range(1, 1_500)
    ]
    sha = write_history(tmp_path / "r", steps)[-1]
    with Repository.open(tmp_path / "r") as repository:
        tracemalloc.start()
        count = sum(1 for _ in repository.commits(sha))
        peak_bytes = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert count == 1_500
    assert peak_bytes < 2 << 20


def test_files_of_a_folder_without_git(tmp_path: Path) -> None:
    """Links are not followed, nothing outside is read, a pipe does not hang."""
    from lakecore.code import read_file

    (tmp_path / "a.py").write_text("x = 1\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.rs").write_text("fn f() {}\n")
    os.symlink("/etc/hostname", tmp_path / "out")
    os.symlink("/etc", tmp_path / "etc")
    os.mkfifo(tmp_path / "pipe")
    assert read_file(tmp_path, "a.py").text == "x = 1\n"
    assert read_file(tmp_path, "sub/b.rs").language.value == "rust"
    assert read_file(tmp_path, "out").kind is SourceKind.LINK
    assert read_file(tmp_path, "a.py", max_bytes=3).kind is SourceKind.HUGE
    for bad in ("etc/hostname", "../x", "/etc/hostname", "pipe", "", "sub"):
        with pytest.raises((InvalidInput, NotFound)):
            read_file(tmp_path, bad)
    with pytest.raises(NotFound):
        read_file(tmp_path, "none.py")
