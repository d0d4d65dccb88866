#!/usr/bin/python
# Copyright: asgi.production contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: memcached_health
short_description: Ask Memcached whether all is well
description:
  - Speaks Memcached's text protocol and asks for its figures.
  - Judges connections, and memory and evictions where you give thresholds, because a full cache is as it should be.
version_added: 1.0.0
author: asgi.production contributors (@asgi-production)
extends_documentation_fragment: [asgi.production.health, asgi.production.health.server]
options:
  port:
    description: The port.
    type: int
    default: 11211
  connections_degraded:
    description: Connections that are open from which it is degraded, in percent of those that may be.
    type: float
    default: 80
  connections_failed:
    description: Connections that are open from which it is failed, in percent of those that may be.
    type: float
    default: 100
  memory_degraded:
    description: Memory in use from which it is degraded, in percent of its limit.
    type: float
    default: -1
  memory_failed:
    description: Memory in use from which it is failed, in percent of its limit.
    type: float
    default: -1
  evictions_degraded:
    description: Entries that are dropped to make room, from which it is degraded, in entries per second.
    type: float
    default: -1
  evictions_failed:
    description: Entries that are dropped to make room, from which it is failed, in entries per second.
    type: float
    default: -1
"""

EXAMPLES = r"""
- name: See that Memcached on this host is well
  asgi.production.memcached_health:
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

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.asgi.production.plugins.module_utils import _memcached_health, health

ARGUMENTS = dict(
    health.ARGUMENTS,
    **health.SERVER,
    port={"type": "int", "default": 11211},
    **_memcached_health.LIMITS,
)


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    params = module.params
    health.run(module, f"Memcached {health.where(params)}", lambda left: _memcached_health.probe(params, left))


if __name__ == "__main__":
    main()
