#!/usr/bin/python
# Copyright: asgi.production contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: postgres_health
short_description: Ask PostgreSQL whether all is well
description:
  - Speaks PostgreSQL's own protocol, with SCRAM-SHA-256 and TLS, and asks one question of one row.
  - Judges connections, open transactions, locks, replication, archiving, transaction numbers and size.
  - As the superuser by the server's own unix socket it still gets in when ordinary connections are used up, and can
    say who uses them.
version_added: 1.0.0
author: asgi.production contributors (@asgi-production)
extends_documentation_fragment: [asgi.production.health, asgi.production.health.server]
options:
  port:
    description: The port, also as part of the unix socket's name.
    type: int
    default: 5432
  unix_socket:
    description: The unix socket or its folder, as in C(/run/postgresql), instead of O(host).
  database:
    description: The database to connect to.
    type: str
    default: postgres
  user:
    description: The role to connect as. One that is not in pg_monitor sees less of others' sessions.
    type: str
    default: postgres
  password:
    description: The role's password. None is needed where the server knows the user of the system.
    type: str
  os_user:
    description: The user of this host as whom to connect, when the module runs as root. Empty for root itself.
    type: str
    default: ''
  role:
    description: What the server must be.
    type: str
    choices: [any, primary, standby]
    default: any
  standbys:
    description: How many standbys must follow this server. A negative number is any.
    type: int
    default: -1
  connections_degraded:
    description: Connections in use of those that ordinary roles may have, from which it is degraded, in percent.
    type: float
    default: 80
  connections_failed:
    description: Connections in use of those that ordinary roles may have, from which it is failed, in percent.
    type: float
    default: 100
  transaction_degraded:
    description: Age of the oldest open transaction from which it is degraded, in seconds.
    type: float
    default: 3600
  transaction_failed:
    description: Age of the oldest open transaction from which it is failed, in seconds.
    type: float
    default: -1
  blocked_degraded:
    description: Sessions that have waited for a lock for more than ten seconds, from which it is degraded, in sessions.
    type: float
    default: 1
  blocked_failed:
    description: Sessions that have waited for a lock for more than ten seconds, from which it is failed, in sessions.
    type: float
    default: -1
  lag_degraded:
    description: How far a standby is behind its primary, from which it is degraded, in seconds.
    type: float
    default: 30
  lag_failed:
    description: How far a standby is behind its primary, from which it is failed, in seconds.
    type: float
    default: 300
  wraparound_degraded:
    description: Millions of transactions since the oldest vacuum, of 2147 at most, from which it is degraded.
    type: float
    default: 1000
  wraparound_failed:
    description: Millions of transactions since the oldest vacuum, of 2147 at most, from which it is failed.
    type: float
    default: 1800
  size_degraded:
    description: Size of the database from which it is degraded, in MiB.
    type: float
    default: -1
  size_failed:
    description: Size of the database from which it is failed, in MiB.
    type: float
    default: -1
"""

EXAMPLES = r"""
- name: See that PostgreSQL on this host is well, as its superuser
  asgi.production.postgres_health:
    unix_socket: /run/postgresql
    os_user: postgres
  become: true

- name: Wait until the shop can use its database over the network
  asgi.production.postgres_health:
    host: 10.0.0.5
    tls: true
    ca_path: /etc/ssl/certs/database.pem
    user: shop
    database: shop
    password: "{{ stack_postgres_password }}"
    retries: 20
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
from ansible_collections.asgi.production.plugins.module_utils import _postgres_health, health

ARGUMENTS = dict(
    health.ARGUMENTS,
    **health.SERVER,
    port={"type": "int", "default": 5432},
    database={"type": "str", "default": "postgres"},
    user={"type": "str", "default": "postgres"},
    password={"type": "str", "no_log": True},
    os_user={"type": "str", "default": ""},
    role={"type": "str", "choices": ["any", "primary", "standby"], "default": "any"},
    standbys={"type": "int", "default": -1},
    **_postgres_health.LIMITS,
)


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    params = dict(module.params)
    if params["unix_socket"] and ".s.PGSQL." not in params["unix_socket"]:
        params["unix_socket"] = f"{params['unix_socket']}/.s.PGSQL.{params['port']}"
    health.run(module, f"PostgreSQL {health.where(params)}", lambda left: _postgres_health.probe(params, left))


if __name__ == "__main__":
    main()
