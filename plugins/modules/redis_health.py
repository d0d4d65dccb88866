#!/usr/bin/python
# Copyright: asgi.production contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: redis_health
short_description: Ask Redis whether all is well
description:
  - Speaks the protocol of Redis, logs in as a user of its access list, and asks for its own figures.
  - Judges memory, clients, replication and saving. A full cache that evicts is as it should be; a full store is not.
  - The user must be allowed to run C(INFO).
version_added: 1.0.0
author: asgi.production contributors (@asgi-production)
extends_documentation_fragment: [asgi.production.health, asgi.production.health.server]
options:
  port:
    description: The port.
    type: int
    default: 6379
  user:
    description: The user to log in as. Empty for the default one.
    type: str
    default: ''
  password:
    description: The user's password. Without one nobody logs in.
    type: str
  role:
    description: What the server must be.
    type: str
    choices: [any, primary, replica]
    default: any
  replicas:
    description: How many replicas must follow this server. A negative number is any.
    type: int
    default: -1
  memory_degraded:
    description: Memory in use where nothing is evicted, from which it is degraded, in percent of its limit.
    type: float
    default: 80
  memory_failed:
    description: Memory in use where nothing is evicted, from which it is failed, in percent of its limit.
    type: float
    default: 95
  clients_degraded:
    description: Clients that are connected from which it is degraded, in percent of those that may be.
    type: float
    default: 80
  clients_failed:
    description: Clients that are connected from which it is failed, in percent of those that may be.
    type: float
    default: 100
  lag_degraded:
    description: Time since a replica heard its primary, from which it is degraded, in seconds.
    type: float
    default: 30
  lag_failed:
    description: Time since a replica heard its primary, from which it is failed, in seconds.
    type: float
    default: 300
  unsaved_degraded:
    description: Age of the last snapshot, when something has changed since, from which it is degraded, in seconds.
    type: float
    default: -1
  unsaved_failed:
    description: Age of the last snapshot, when something has changed since, from which it is failed, in seconds.
    type: float
    default: -1
"""

EXAMPLES = r"""
- name: See that Redis on this host is well
  asgi.production.redis_health:
    unix_socket: /run/redis/redis-server.sock
    user: app
    password: "{{ stack_redis_password }}"

- name: Fail as soon as two replicas do not follow any more
  asgi.production.redis_health:
    host: 10.0.0.6
    user: app
    password: "{{ stack_redis_password }}"
    role: primary
    replicas: 2
    fail_on: degraded
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
from ansible_collections.asgi.production.plugins.module_utils import _redis_health, health

ARGUMENTS = dict(
    health.ARGUMENTS,
    **health.SERVER,
    port={"type": "int", "default": 6379},
    user={"type": "str", "default": ""},
    password={"type": "str", "no_log": True},
    role={"type": "str", "choices": ["any", "primary", "replica"], "default": "any"},
    replicas={"type": "int", "default": -1},
    **_redis_health.LIMITS,
)


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    params = module.params
    health.run(module, f"Redis {health.where(params)}", lambda left: _redis_health.probe(params, left))


if __name__ == "__main__":
    main()
