# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of the action app_release: what of a folder is a source, and when it is sent."""

from __future__ import annotations

import os
import stat
import subprocess
import tarfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible.errors import AnsibleActionFail
from ansible_collections.asgi.production.plugins.action import app_release

GIT = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "PATH": os.environ["PATH"]}


def lay(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a git work tree that ignores a secret, with an app in a subfolder."""
    folder = lay(tmp_path / "tree", "main.py", "app/main.py", "secret.env", "app/new.py", "gone.py")
    (folder / ".gitignore").write_text("*.env\n")
    for argv in (["init", "--quiet"], ["add", "main.py", "app/main.py", "gone.py", ".gitignore"]):
        subprocess.run(["git", "-C", folder, *argv], env=GIT, check=True)
    (folder / "gone.py").unlink()
    monkeypatch.setenv("GIT_DIR", "/no/such/place")  # as in a hook of git's
    return folder


# -- what a source is made of


def test_of_a_work_tree_what_git_would_track_is_taken(tree: Path):
    assert app_release.source_files(str(tree)) == [".gitignore", "app/main.py", "app/new.py", "main.py"]
    assert app_release.source_files(str(tree / "app")) == ["main.py", "new.py"]


def test_a_link_to_a_folder_in_a_work_tree_is_seen_through(tree: Path, tmp_path: Path):
    (tmp_path / "link").symlink_to(tree / "app")
    assert app_release.source_files(str(tmp_path / "link")) == ["main.py", "new.py"]


def test_of_another_folder_all_but_the_litter_is_taken(tmp_path: Path):
    lay(tmp_path, "main.py", "a/b.py", "a/__pycache__/b.pyc", ".venv/bin/python", "node_modules/x.js", ".env")
    (tmp_path / "broken").symlink_to("nowhere")
    (tmp_path / "folder").symlink_to("a")
    os.mkfifo(tmp_path / "pipe")
    assert app_release.source_files(str(tmp_path)) == [".env", "a/b.py", "broken", "folder", "main.py"]


def test_without_git_a_work_tree_is_refused_rather_than_taken_whole(tree: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "/no/such/folder")
    with pytest.raises(AnsibleActionFail, match="is a git work tree, but there is no git here: install it"):
        app_release.source_files(str(tree))


def test_a_work_tree_that_git_cannot_read_is_refused(tmp_path: Path):
    lay(tmp_path, ".git", "secret.env")
    with pytest.raises(AnsibleActionFail, match="but git can't list its files: fatal: "):
        app_release.source_files(str(tmp_path))


# -- its revision


def test_the_revision_is_the_same_for_the_same_files_elsewhere(tmp_path: Path):
    found = {
        app_release.revision(str(lay(tmp_path / place, "a.py", "b/c.py")), ["a.py", "b/c.py"])
        for place in ("one", "two")
    }
    assert len(found) == 1
    assert found.pop().startswith("local-")


def test_content_name_kind_and_being_a_program_make_another_revision(tmp_path: Path):
    lay(tmp_path, "a.py")
    found = [app_release.revision(str(tmp_path), ["a.py"])]
    (tmp_path / "a.py").chmod(0o755)
    found.append(app_release.revision(str(tmp_path), ["a.py"]))
    (tmp_path / "a.py").write_text("other")
    found.append(app_release.revision(str(tmp_path), ["a.py"]))
    (tmp_path / "a.py").rename(tmp_path / "b.py")
    found.append(app_release.revision(str(tmp_path), ["b.py"]))
    for target in ("a.py", "c.py"):
        (tmp_path / "b.py").unlink()
        (tmp_path / "b.py").symlink_to(target)
        found.append(app_release.revision(str(tmp_path), ["b.py"]))
    assert len(set(found)) == len(found)


# -- the archive


def test_an_archive_says_nothing_of_whose_a_file_was_and_can_be_read(tmp_path: Path):
    folder = lay(tmp_path / "source", "a.py", "run.sh")
    (folder / "a.py").chmod(0o600)
    (folder / "run.sh").chmod(0o700)
    (folder / "link").symlink_to("a.py")
    app_release.pack(str(folder), ["a.py", "link", "run.sh"], str(tmp_path / "x.tar.gz"))
    with tarfile.open(tmp_path / "x.tar.gz") as archive:
        members = {member.name: member for member in archive}
        assert archive.extractfile("a.py").read() == b"a.py"
    assert {member.uname for member in members.values()} == {"root"}
    assert {member.uid for member in members.values()} == {0}
    assert [stat.S_IMODE(members[name].mode) for name in ("a.py", "run.sh")] == [0o644, 0o755]
    assert members["link"].linkname == "a.py"


# -- the action


class Action(app_release.ActionModule):
    """The action, with a host that is played."""

    def __init__(self, args: dict, answers: list[dict]) -> None:
        task = SimpleNamespace(args=args, async_val=0, check_mode=False, action="asgi.production.app_release")
        shell = SimpleNamespace(tmpdir=None, join_path=os.path.join)
        super().__init__(task, SimpleNamespace(_shell=shell), SimpleNamespace(), None, None, None)
        self.answers, self.asked, self.sent, self.made = answers, [], [], []

    def _execute_module(self, module_name: str, module_args: dict, task_vars: dict) -> dict:
        assert module_name == "asgi.production.app_release"
        self.asked.append(dict(module_args))
        return self.answers.pop(0)

    def _early_needs_tmp_path(self) -> bool:
        return False

    def _make_tmp_path(self) -> None:
        self._connection._shell.tmpdir = "/there"

    def _transfer_file(self, local_path: str, remote_path: str) -> None:
        with tarfile.open(local_path) as archive:
            self.sent.append((remote_path, archive.getnames()))

    def _fixup_perms2(self, paths: tuple, execute: bool) -> None:
        self.made.append((paths, execute))


def act(args: dict, *answers: dict) -> tuple[Action, dict]:
    action = Action(args, list(answers))
    return action, action.run(task_vars={"inventory_hostname": "one"})


@pytest.mark.parametrize("source", ["https://x/shop.git", "git@x:shop.git", "ssh://git@x/shop", "file:///srv/shop.git"])
def test_a_repository_is_the_hosts_own_business(source: str):
    action, result = act({"step": "build", "name": "shop", "source": source}, {"changed": True})
    assert result == {"changed": True, "module_runs": 1}
    assert action.asked == [{"step": "build", "name": "shop", "source": source}]


def test_credentials_do_not_stand_in_an_option_that_is_shown():
    action, _result = act({"step": "build", "source": "https://ann:p%40ss@x/shop.git"}, {})
    assert action.asked[0]["source"] == "https://x/shop.git"
    assert action.asked[0]["credentials"] == "ann:p%40ss"


def test_a_folder_is_hashed_here_and_not_sent_when_the_host_has_it(tree: Path):
    action, result = act({"step": "build", "source": str(tree)}, {"changed": False, "release": "r1"})
    assert result == {"changed": False, "release": "r1", "module_runs": 1}
    assert action.sent == []
    (asked,) = action.asked
    assert (asked["source"], asked["local"]) == (str(tree), True)
    assert asked["revision"].startswith("local-")


def test_a_folder_that_the_host_has_not_got_is_packed_and_sent(tree: Path):
    action, result = act(
        {"step": "build", "source": str(tree)}, {"wants_archive": True}, {"changed": True, "release": "r2"}
    )
    assert result == {"changed": True, "release": "r2", "module_runs": 2}
    assert action.sent == [("/there/source.tar.gz", [".gitignore", "app/main.py", "app/new.py", "main.py"])]
    assert action.made == [(("/there", "/there/source.tar.gz"), False)]
    assert action.asked[1] == dict(action.asked[0], archive="/there/source.tar.gz")


@pytest.mark.parametrize("step", ["migrate", "activate"])
def test_later_steps_need_no_folder(step: str):
    action, _result = act({"step": step, "source": "/gone", "release": "r1"}, {})
    assert action.asked == [{"step": step, "source": "/gone", "release": "r1"}]


def test_the_folder_of_a_home_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    lay(tmp_path / "shop", "main.py")
    monkeypatch.setenv("HOME", str(tmp_path))
    action, _result = act({"step": "build", "source": "~/shop"}, {})
    assert action.asked[0]["source"] == f"{tmp_path}/shop"


@pytest.mark.parametrize("source", ["", "shop", "./shop", "/no/such/folder", "ftp://x/shop"])
def test_what_is_neither_a_repository_nor_a_folder_is_refused(source: str):
    with pytest.raises(AnsibleActionFail) as error:
        act({"step": "build", "source": source})
    assert str(error.value) == (
        f"app_source is {source!r}: that is neither the URL of a git repository nor the absolute path of a folder on "
        "this machine."
    )


def test_a_folder_without_a_file_is_refused(tmp_path: Path):
    with pytest.raises(AnsibleActionFail, match="that folder is empty, or git ignores all that is in it"):
        act({"step": "build", "source": str(tmp_path)})
