# Copyright: asgi.production contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What asgi.production.host_health looks at, and what it makes of it. Private to this collection."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import time
import typing as t

from ansible_collections.asgi.production.plugins.module_utils import health
from ansible_collections.asgi.production.plugins.module_utils.health import Check

LIMITS = health.limits(
    disk=(85, 95),
    inodes=(85, 95),
    memory=(90, 97),
    memory_pressure=(20, 60),
    io_pressure=(60, -1),
    cpu_pressure=(80, -1),
    load=(4, -1),
    files=(80, 95),
    updates=(1, -1),
)
# File systems that are no disk of this host, or that are full by nature.
NO_DISKS = ("squashfs", "iso9660", "nfs", "nfs4", "cifs", "fuse", "autofs", "devtmpfs", "tmpfs", "ramfs")
UNSYNCHRONISED = 5
SECURITY = re.compile(r"^Inst (\S+) .*(?:-security|Debian-Security)", re.IGNORECASE | re.MULTILINE)


def text(path: str, root: str = "") -> str:
    """A file's text; nothing where there is none."""
    try:
        with open(root + path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def mounts(table: str) -> list[str]:
    """Where disks are mounted, each disk once."""
    found: dict[str, str] = {}
    for line in table.splitlines():
        device, _space, rest = line.partition(" ")
        place, kind = [*rest.split(" "), "", ""][:2]
        place = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), place)
        disk = device.startswith("/dev/") or (kind in ("overlay", "zfs") and place == "/")
        if disk and kind not in NO_DISKS and os.path.isdir(place):
            found.setdefault(device, place)
    return list(found.values())


def disk(place: str, params: dict, statvfs: t.Callable = os.statvfs) -> t.Iterator[Check]:
    """How full a disk is, as df says it: what is kept for root counts as used."""
    try:
        found = statvfs(place)
    except OSError as error:
        yield Check(f"disk {place}", "failed", message=f"{place} can't be looked at: {error.strerror}")
        return
    used = found.f_blocks - found.f_bfree
    share, rest = health.percent(used, used + found.f_bavail), health.size(found.f_bavail * found.f_frsize)
    words = f"the disk of {place} is {share:g} % full, {rest} are left"
    yield health.measured("disk", share, params, words, "%")._replace(name=f"disk {place}")
    if found.f_flag & os.ST_RDONLY:
        yield Check(f"disk {place} writable", "failed", False, "", True, f"the disk of {place} is read-only")
    if found.f_files:
        share = health.percent(found.f_files - found.f_ffree, found.f_files)
        words = f"the disk of {place} has {found.f_ffree} inodes left: too many small files"
        yield health.measured("inodes", share, params, words, "%")._replace(name=f"inodes {place}")


def memory(meminfo: str, params: dict) -> t.Iterator[Check]:
    found = {key: int(value) for key, value in re.findall(r"^(\w+):\s+(\d+)", meminfo, re.MULTILINE)}
    if "MemTotal" in found and "MemAvailable" in found:
        share = health.percent(found["MemTotal"] - found["MemAvailable"], found["MemTotal"])
        rest = health.size(found["MemAvailable"] * 1024)
        words = f"{share:g} % of the memory are in use, {rest} are left"
        yield health.measured("memory", share, params, words, "%")


def pressure(root: str, params: dict) -> t.Iterator[Check]:
    """How much of the last minute something had to wait, from the kernel's own figures."""
    for name, thing in (("memory", "memory"), ("io", "the disk"), ("cpu", "the processor")):
        match = re.search(r"^some .*avg60=([\d.]+)", text(f"/proc/pressure/{name}", root), re.MULTILINE)
        if match:
            share = float(match.group(1))
            words = f"processes wait for {thing} {share:g} % of the time"
            yield health.measured(f"{name}_pressure", share, params, words, "%")


def load(root: str, params: dict, cores: int) -> t.Iterator[Check]:
    words = text("/proc/loadavg", root).split()
    if len(words) >= 3:
        value = round(float(words[1]) / cores, 2)
        message = f"the load of the last five minutes is {words[1]} on {cores} cores"
        yield health.measured("load", value, params, message, "per core")
    numbers = text("/proc/sys/fs/file-nr", root).split()
    if len(numbers) == 3:
        share = health.percent(int(numbers[0]), int(numbers[2]))
        yield health.measured("files", share, params, f"{numbers[0]} of {numbers[2]} files are open", "%")


def clock_state() -> int:
    """What the kernel says of its clock: 5 when nobody keeps it right. Nothing is changed: the mask of changes is 0."""
    try:
        return int(ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512)))
    except (OSError, AttributeError):
        return 0


def reboot(root: str) -> Check:
    for path in ("/run/reboot-required", "/var/run/reboot-required"):
        if os.path.exists(root + path):
            wanted = sorted(set(text(f"{path}.pkgs", root).split()))
            words = f"a reboot is needed{' for ' + health.words(', '.join(wanted)) if wanted else ''}"
            return Check("reboot", "degraded", True, "", False, words)
    return Check("reboot", "ok", False, "", False)


def updates(params: dict, seconds: float) -> t.Iterator[Check]:
    if max(params["updates_degraded"], params["updates_failed"]) < 0 or not shutil.which("apt-get"):
        return
    argv = ["apt-get", "--simulate", "--quiet=2", "-o", "Debug::NoLocking=1", "upgrade"]
    said = health.command(argv, seconds)
    names = sorted(set(SECURITY.findall(said.stdout)))
    more = " and more" if len(names) > 5 else ""
    words = f"{len(names)} security updates are not installed: {', '.join(names[:5])}{more}"
    yield health.measured("updates", len(names), params, words, "packages")


def probe(params: dict, seconds: float, root: str = "") -> list[Check]:
    end = time.monotonic() + seconds
    checks = []
    for place in params["disks"] or mounts(text("/proc/mounts", root)):
        checks += disk(place, params)
    checks += memory(text("/proc/meminfo", root), params)
    checks += pressure(root, params)
    checks += load(root, params, os.cpu_count() or 1)
    if params["clock"]:
        good = clock_state() != UNSYNCHRONISED
        checks.append(health.expected("clock", good, good, True, "nothing keeps the clock right", "degraded"))
    checks.append(reboot(root))
    checks += updates(params, end - time.monotonic())
    return checks
