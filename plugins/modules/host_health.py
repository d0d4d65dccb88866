#!/usr/bin/python
# Copyright: asgi.production contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: host_health
short_description: See that a host has disk, memory and time left
description:
  - Looks at disks and inodes, memory, pressure, load, open files, the clock, security updates, and whether
    a reboot is needed.
  - Security updates are not looked for when both of their thresholds are negative.
version_added: 1.0.0
author: asgi.production contributors (@asgi-production)
extends_documentation_fragment: [asgi.production.health]
options:
  disks:
    description: Folders whose disks to look at. All disks of the host unless given.
    type: list
    elements: path
    default: []
  clock:
    description: Whether something must keep the clock right.
    type: bool
    default: true
  disk_degraded:
    description: How full a disk is, from which it is degraded, in percent.
    type: float
    default: 85
  disk_failed:
    description: How full a disk is, from which it is failed, in percent.
    type: float
    default: 95
  inodes_degraded:
    description: How many inodes of a disk are used, from which it is degraded, in percent.
    type: float
    default: 85
  inodes_failed:
    description: How many inodes of a disk are used, from which it is failed, in percent.
    type: float
    default: 95
  memory_degraded:
    description: Memory in use, without what can be given back, from which it is degraded, in percent.
    type: float
    default: 90
  memory_failed:
    description: Memory in use, without what can be given back, from which it is failed, in percent.
    type: float
    default: 97
  memory_pressure_degraded:
    description: How long processes had to wait for memory, from which it is degraded, in percent of a minute.
    type: float
    default: 20
  memory_pressure_failed:
    description: How long processes had to wait for memory, from which it is failed, in percent of a minute.
    type: float
    default: 60
  io_pressure_degraded:
    description: How long processes had to wait for disks, from which it is degraded, in percent of a minute.
    type: float
    default: 60
  io_pressure_failed:
    description: How long processes had to wait for disks, from which it is failed, in percent of a minute.
    type: float
    default: -1
  cpu_pressure_degraded:
    description: How long processes had to wait for a processor, from which it is degraded, in percent of a minute.
    type: float
    default: 80
  cpu_pressure_failed:
    description: How long processes had to wait for a processor, from which it is failed, in percent of a minute.
    type: float
    default: -1
  load_degraded:
    description: Load of the last five minutes from which it is degraded, in processes per core.
    type: float
    default: 4
  load_failed:
    description: Load of the last five minutes from which it is failed, in processes per core.
    type: float
    default: -1
  files_degraded:
    description: Files that are open on the whole host, from which it is degraded, in percent of those that may be.
    type: float
    default: 80
  files_failed:
    description: Files that are open on the whole host, from which it is failed, in percent of those that may be.
    type: float
    default: 95
  updates_degraded:
    description: Security updates that are not installed, from which it is degraded, in packages.
    type: float
    default: 1
  updates_failed:
    description: Security updates that are not installed, from which it is failed, in packages.
    type: float
    default: -1
"""

EXAMPLES = r"""
- name: See that the host has room
  asgi.production.host_health:

- name: Stop a deploy on a disk that is nearly full
  asgi.production.host_health:
    disks: [/srv]
    disk_failed: 90
"""

RETURN = r"""
healthy:
  description: Whether all is well.
  returned: always
  type: bool
status:
  description: C(ok), C(degraded) or C(failed).
  returned: always
  type: str
checks:
  description: Each question with its answer.
  returned: always
  type: list
  elements: dict
  contains:
    name: {description: What was asked., type: str}
    status: {description: The answer as a status., type: str}
    value: {description: The answer., type: raw}
    unit: {description: The unit of value and threshold., type: str}
    threshold: {description: What it was compared with., type: raw}
    message: {description: A sentence when it is not ok., type: str}
attempts:
  description: How often it was asked.
  returned: always
  type: int
elapsed:
  description: Seconds that it took.
  returned: always
  type: float
"""

import socket

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.asgi.production.plugins.module_utils import _host_health, health

ARGUMENTS = dict(
    health.ARGUMENTS,
    disks={"type": "list", "elements": "path", "default": []},
    clock={"type": "bool", "default": True},
    **_host_health.LIMITS,
)


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    params = module.params
    health.run(module, socket.gethostname(), lambda left: _host_health.probe(params, left))


if __name__ == "__main__":
    main()
