# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of the module that looks at a host: files and figures of made-up hosts, and once this machine itself."""

from __future__ import annotations

import os
import subprocess
import typing as t
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.asgi.production.plugins.module_utils import _host_health as host
from ansible_collections.asgi.production.plugins.module_utils import health
from ansible_collections.asgi.production.plugins.modules import host_health

PARAMS = {name: option.get("default") for name, option in host_health.ARGUMENTS.items()}


def wrong(checks: t.Iterable[health.Check]) -> list[str]:
    return [f"{check.status}: {check.message}" for check in checks if check.status != "ok"]


def filesystem(used: int = 0, root_only: int = 0, inodes: int = 0, flags: int = 0):
    """A disk of 100 blocks of 1 GiB."""
    free = 100 - used
    found = SimpleNamespace(f_blocks=100, f_bfree=free, f_bavail=free - root_only, f_frsize=2**30, f_flag=flags)
    found.f_files, found.f_ffree = (1000, 1000 - inodes) if inodes else (0, 0)
    return lambda _place: found


@pytest.mark.parametrize(
    ("disk", "words"),
    [
        ({}, []),
        ({"used": 84}, []),
        ({"used": 84, "root_only": 5}, ["degraded: the disk of /srv is 88.4 % full, 11.0 GiB are left"]),
        ({"used": 96}, ["failed: the disk of /srv is 96 % full, 4.0 GiB are left"]),
        ({"inodes": 990}, ["failed: the disk of /srv has 10 inodes left: too many small files"]),
        ({"flags": os.ST_RDONLY}, ["failed: the disk of /srv is read-only"]),
    ],
)
def test_a_disk(disk: dict, words: list):
    assert wrong(host.disk("/srv", PARAMS, filesystem(**disk))) == words


def test_a_disk_that_is_not_there():
    assert wrong(host.disk("/no/such/folder", PARAMS)) == [
        "failed: /no/such/folder can't be looked at: No such file or directory"
    ]


def test_each_disk_once_and_nothing_that_is_none(tmp_path: Path):
    spaced = tmp_path / "a b"
    spaced.mkdir()
    table = (
        "overlay / overlay rw 0 0\n/dev/vda /etc/hosts ext4 rw 0 0\n"
        f"/dev/vdb {tmp_path}/a\\040b ext4 rw 0 0\n/dev/vdb {tmp_path} ext4 rw 0 0\n"
        "/dev/loop1 / squashfs ro 0 0\ntmpfs /run tmpfs rw 0 0\nnas:/x /mnt nfs4 rw 0 0\nodd\n"
    )
    assert host.mounts(table) == ["/", str(spaced)]


def test_memory():
    assert wrong(host.memory("MemTotal: 1000 kB\nMemAvailable: 500 kB\n", PARAMS)) == []
    said = wrong(host.memory("MemTotal: 10000000 kB\nMemAvailable: 200000 kB\n", PARAMS))
    assert said == ["failed: 98 % of the memory are in use, 195.3 MiB are left"]
    assert list(host.memory("", PARAMS)) == []


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for path, text in {
        "proc/pressure/memory": "some avg10=0.00 avg60=70.50 avg300=0 total=1\nfull avg10=0.00 avg60=1.00\n",
        "proc/pressure/io": "some avg10=0.00 avg60=61.00 avg300=0 total=1\n",
        "proc/loadavg": "1.00 20.00 3.00 1/100 12\n",
        "proc/sys/fs/file-nr": "900\t0\t1000\n",
        "proc/mounts": "",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    return tmp_path


def test_pressure_and_load(root: Path):
    assert wrong(host.pressure(str(root), PARAMS)) == [
        "failed: processes wait for memory 70.5 % of the time",
        "degraded: processes wait for the disk 61 % of the time",
    ]
    assert wrong(host.load(str(root), PARAMS, 4)) == [
        "degraded: the load of the last five minutes is 20.00 on 4 cores",
        "degraded: 900 of 1000 files are open",
    ]
    assert list(host.load(str(root / "none"), PARAMS, 4)) == []


def test_a_reboot(root: Path):
    assert host.reboot(str(root)).status == "ok"
    (root / "run").mkdir()
    (root / "run/reboot-required").touch()
    assert wrong([host.reboot(str(root))]) == ["degraded: a reboot is needed"]
    (root / "run/reboot-required.pkgs").write_text("linux-image-6.1\nlibc6\nlibc6\n")
    assert wrong([host.reboot(str(root))]) == ["degraded: a reboot is needed for libc6, linux-image-6.1"]


def test_security_updates(monkeypatch: pytest.MonkeyPatch):
    said = "".join(f"Inst lib{letter} [1.0] (1.1 Debian-Security:12/stable-security [amd64])\n" for letter in "abcdef")
    said += "Inst vim [1] (2 Debian:12.8/stable [amd64])\nConf liba (1.1 Debian-Security:12/stable-security [amd64])\n"
    monkeypatch.setattr(host.shutil, "which", lambda _name: "/usr/bin/apt-get")
    monkeypatch.setattr(health, "command", lambda argv, seconds: subprocess.CompletedProcess(argv, 0, said, ""))
    words = "degraded: 6 security updates are not installed: liba, libb, libc, libd, libe and more"
    assert wrong(host.updates(PARAMS, 5)) == [words]
    assert list(host.updates({**PARAMS, "updates_degraded": -1}, 5)) == []
    monkeypatch.setattr(host.shutil, "which", lambda _name: None)
    assert list(host.updates(PARAMS, 5)) == []


def test_the_clock(monkeypatch: pytest.MonkeyPatch, root: Path):
    quiet = {**PARAMS, "updates_degraded": -1}
    monkeypatch.setattr(host, "clock_state", lambda: host.UNSYNCHRONISED)
    assert "degraded: nothing keeps the clock right" in wrong(host.probe(quiet, 5, str(root)))
    assert "degraded: nothing keeps the clock right" not in wrong(host.probe({**quiet, "clock": False}, 5, str(root)))

    def refuse(_name: object) -> None:
        raise OSError

    monkeypatch.undo()
    monkeypatch.setattr(host.ctypes, "CDLL", refuse)
    assert host.clock_state() == 0


def test_this_machine(run_module):
    said = run_module(host_health, {"fail_on": "never", "updates_degraded": -1, "disks": ["/"]}, check_mode=True)
    names = [check["name"] for check in said["checks"]]
    assert {"disk /", "memory", "load", "files", "clock", "reboot"} <= set(names)
