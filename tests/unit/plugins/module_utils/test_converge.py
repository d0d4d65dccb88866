# SPDX-License-Identifier: GPL-3.0-or-later
"""What the host's half of converge does beyond the plugin's reach; tests/unit/plugins/action has the two together."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import pytest
from ansible_collections.asgi.production.plugins.module_utils import _converge as module


def plan(**more: object) -> dict:
    return {
        "id": "shop",
        "packages": [],
        "files": [],
        "check": [],
        "units": [],
        "lock_timeout": 0,
        "diff": False,
        **more,
    }


@pytest.mark.parametrize(
    ("argv", "timeout", "answer"),
    [
        ([sys.executable, "-c", "import os, sys; print(os.environ['LC_ALL']); sys.exit(3)"], 60, (3, "C.UTF-8")),
        (["asgi-no-such-program"], 60, (127, "asgi-no-such-program: no such program")),
        (["sleep", "9"], 0.01, (124, "sleep did not end within 0.01 seconds")),
    ],
)
def test_programs(argv: list[str], timeout: float, answer: tuple[int, str]) -> None:
    assert module.run(argv, timeout) == answer


def test_a_second_run_waits_and_then_says_who_is_there(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    first = module.Converge(plan(id="first", lock_timeout=9), root=str(tmp_path))
    second = module.Converge(plan(), root=str(tmp_path))
    with first.lock(), pytest.raises(module.RefusedError) as error, second.lock():
        raise AssertionError("two runs hold the lock")
    said = f"shop: another run (process {os.getpid()}, first, since "
    assert str(error.value).startswith(said)
    assert str(error.value).endswith(") has worked on this host for the last 0 seconds: wait for it or end it.")
    second = module.Converge(plan(lock_timeout=30), root=str(tmp_path))
    with first.lock():
        threading.Timer(0.05, lambda: None).start()
    with second.lock():
        assert "shop" in (tmp_path / "run/asgi-production.lock").read_text(encoding="utf-8")


def test_a_lock_that_is_given_back_is_taken(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    held, free = threading.Event(), threading.Event()

    def hold() -> None:
        with module.Converge(plan(id="first"), root=str(tmp_path)).lock():
            held.set()
            free.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(10)
    threading.Timer(0.05, free.set).start()
    with module.Converge(plan(lock_timeout=30), root=str(tmp_path)).lock():
        assert free.is_set()
    thread.join()


def test_names_and_numbers_of_owners() -> None:
    assert module.ids({"dest": "/x", "owner": "root", "group": "0"}) == (0, 0)


def test_a_temporary_file_is_private_until_it_is_whole_and_no_link_is_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("untouched", encoding="utf-8")
    path = tmp_path / "file"
    path.symlink_to(target)
    module.write(str(path), b"new", 0o4755, os.getuid(), os.getgid())
    assert path.read_bytes() == b"new"
    assert oct(path.stat().st_mode) == "0o104755"
    assert target.read_text(encoding="utf-8") == "untouched"
    assert module.temporary("/etc/x.conf") == "/etc/.x.conf.asgi-new"


def test_a_folder_given_back_to_nobody_is_no_error(tmp_path: Path) -> None:
    work = module.Converge(plan(), root=str(tmp_path))
    work._remove(str(tmp_path / "gone" / "file"), {"kind": "file", "saved": True, "made": False})
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "folder").mkdir()
    work._remove(str(tmp_path / "folder"), {"kind": "file", "saved": False, "made": True})
    assert (tmp_path / "folder").is_dir()
    work._sync([str(tmp_path / "gone")])
