# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from ansible_collections.asgi.production.plugins.modules import host_facts as module


def host(root: Path, **files: str) -> str:
    """Return a root with these files; `__` in a name stands for `/`."""
    for name, words in {"proc__meminfo": "MemFree: 1 kB\nMemTotal:  4096000 kB\n", **files}.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(words, encoding="utf-8")
    return str(root)


@pytest.mark.parametrize(
    ("limit", "found"), [(None, 4000), ("max\n", 4000), ("1048576000\n", 1000), (f"{2**62}\n", 4000)]
)
@pytest.mark.parametrize("name", ["memory.max", "memory/memory.limit_in_bytes"])
def test_memory_is_what_the_control_group_leaves(tmp_path: Path, name: str, limit: t.Optional[str], found: int) -> None:
    files = {f"sys/fs/cgroup/{name}": limit} if limit else {}
    assert module.memory_mb(host(tmp_path, **files)) == found


def test_facts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(module.os, "sched_getaffinity", lambda pid: {0, 1, 2})
    words = '# comment\nID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\n'
    found = module.facts(host(tmp_path, etc__os_release="", **{"etc/os-release": words}))
    assert found["disk_free_mb"] > 0
    wanted = {"cores": 3, "memory_mb": 4000, "distribution": "debian", "release": "bookworm", "version": "12"}
    assert wanted.items() <= found.items()
    assert (found["architecture"], found["systemd"]) == ("amd64", False)
    (tmp_path / "srv").mkdir()
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    (tmp_path / "etc/os-release").unlink()
    monkeypatch.setattr(module.platform, "machine", lambda: "riscv64")
    found = module.facts(str(tmp_path))
    assert (found["distribution"], found["architecture"], found["systemd"]) == ("", "riscv64", True)


def test_the_module(run_module: t.Callable[..., dict]) -> None:
    said = run_module(module, {})
    assert said["changed"] is False
    assert said["ansible_facts"]["asgi"]["cores"] >= 1
