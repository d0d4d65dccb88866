#!/usr/bin/python
# Copyright: asgi.production contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: host_facts
short_description: The few facts that the roles of asgi.production need
description:
  - Reads cores, memory, distribution and free disk of a host, in a fraction of the time of M(ansible.builtin.setup).
  - Plays of this collection gather no other facts. The result is C(ansible_facts['asgi']).
version_added: 1.0.0
author: asgi.production contributors (@asgi-production)
attributes:
  check_mode:
    support: full
    description: It changes nothing.
  diff_mode:
    support: none
    description: It changes nothing.
  facts:
    support: full
    description: Returns C(ansible_facts['asgi']).
options: {}
"""

EXAMPLES = r"""
- name: Ask the host what it is
  asgi.production.host_facts:
"""

RETURN = r"""
ansible_facts:
  description: The facts, under one name.
  returned: always
  type: dict
  contains:
    asgi:
      description: What the host is.
      returned: always
      type: dict
      contains:
        cores:
          description: Cores that processes may use.
          type: int
          sample: 2
        memory_mb:
          description: Memory in MiB; a control group's limit counts when it is lower.
          type: int
          sample: 3936
        disk_free_mb:
          description: Free space of the file system that holds C(/srv), in MiB.
          type: int
          sample: 20480
        distribution:
          description: C(ID) of C(/etc/os-release).
          type: str
          sample: debian
        release:
          description: C(VERSION_CODENAME) of C(/etc/os-release).
          type: str
          sample: bookworm
        version:
          description: C(VERSION_ID) of C(/etc/os-release).
          type: str
          sample: "12"
        architecture:
          description: The machine's architecture as Debian names it.
          type: str
          sample: amd64
        systemd:
          description: Whether systemd is the host's first process.
          type: bool
          sample: true
        python:
          description: Version of the Python that ran this module.
          type: str
          sample: 3.11.2
"""

import os
import platform
import typing as t

from ansible.module_utils.basic import AnsibleModule

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def words(path: str) -> str:
    """A file's text; nothing when it can't be read."""
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.read()
    except OSError:
        return ""


def memory_mb(root: str = "") -> int:
    """MiB that this host has, by /proc/meminfo or a lower limit of its control group."""
    total = next(
        int(line.split()[1]) // 1024
        for line in words(f"{root}/proc/meminfo").splitlines()
        if line.startswith("MemTotal:")
    )
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        limit = words(f"{root}/sys/fs/cgroup/{name}").strip()
        if limit.isdigit():
            total = min(total, int(limit) // 2**20)
    return total


def facts(root: str = "") -> dict[str, t.Any]:
    """What the host is. root is the file system to read, for tests."""
    release = dict(line.split("=", 1) for line in words(f"{root}/etc/os-release").splitlines() if "=" in line)
    disk = os.statvfs(f"{root}/srv" if os.path.isdir(f"{root}/srv") else root or "/")
    return {
        "cores": len(os.sched_getaffinity(0)),
        "memory_mb": memory_mb(root),
        "disk_free_mb": disk.f_bavail * disk.f_frsize // 2**20,
        "distribution": release.get("ID", "").strip('"'),
        "release": release.get("VERSION_CODENAME", "").strip('"'),
        "version": release.get("VERSION_ID", "").strip('"'),
        "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
        "systemd": os.path.isdir(f"{root}/run/systemd/system"),
        "python": platform.python_version(),
    }


def main() -> None:
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    module.exit_json(changed=False, ansible_facts={"asgi": facts()})


if __name__ == "__main__":
    main()
