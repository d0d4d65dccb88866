#!/usr/bin/python
# Copyright: asgi.production contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Databases of apps, each with an owner and a role of least privilege."""

from __future__ import annotations

DOCUMENTATION = r"""
module: postgres_databases
short_description: Make databases for apps, each with an owner and a role of least privilege
version_added: 1.0.0
author:
  - asgi.production contributors (@asgi-production)
description:
  - Makes for each database an owner role, which runs the migrations and owns the database and its schema C(public), and
    a role for the app, which may connect, read and write rows, and nothing else.
  - Everybody else loses the right to connect. Future tables, sequences and schemas of the owner are the app's to use.
  - All databases of a server are looked at in one session of C(psql), and only what differs is changed.
  - It never drops anything and never changes the encoding or locale of a database that is there.
  - Passwords do not reach the server as text. The SCRAM verifier that it stores is compared with the declared password,
    and another one is computed here where they differ.
options:
  databases:
    description:
      - The databases with their roles.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description:
          - Name of the database.
        type: str
        required: true
      owner:
        description:
          - Role that owns the database and its schema C(public) and runs the migrations.
        type: str
        required: true
      owner_password:
        description:
          - Password of the owner, printable ASCII.
          - Without it the owner's password is left alone.
        type: str
      user:
        description:
          - Role of the app. It can't make, change or drop tables.
          - Without it there is only the owner.
        type: str
      password:
        description:
          - Password of the app's role, printable ASCII.
          - Without it the password of the role is left alone.
        type: str
      connection_limit:
        description:
          - How many connections the app's role may have at once. V(-1) is no limit.
          - Without it the limit of the role is left alone.
        type: int
      extensions:
        description:
          - Extensions that the database must have. The packages that bring them must be installed.
        type: list
        elements: str
        default: []
      locale:
        description:
          - Locale of a database that is made. V(C.UTF-8) sorts by code point and does not change when the operating
            system is upgraded, so no index ever breaks by it.
        type: str
        default: C.UTF-8
  port:
    description:
      - Port of the server. It is part of the socket's name.
    type: int
    default: 5432
  socket_folder:
    description:
      - Folder of the server's unix socket.
    type: str
    default: /run/postgresql
  os_user:
    description:
      - User of the operating system who is the server's superuser by C(peer) authentication.
    type: str
    default: postgres
attributes:
  check_mode:
    description: Can run in check mode and say what would change without changing it.
    support: full
    details:
      - Where no server answers yet, all that would be made is shown.
  diff_mode:
    description: Shows what changed, without a secret in it.
    support: full
  idempotent:
    description: When run twice in a row, the second run changes nothing.
    support: full
  platform:
    description: Target operating systems.
    support: full
    platforms: posix
requirements:
  - C(psql) and C(setpriv) on the host
"""

EXAMPLES = r"""
- name: Make the database of the shop
  asgi.production.postgres_databases:
    databases:
      - name: shop
        owner: shop_owner
        owner_password: "{{ stack_postgres_owner_password }}"
        user: shop
        password: "{{ stack_postgres_password }}"
        connection_limit: 40
        extensions: [pg_trgm]
  become: true
  no_log: true
"""

RETURN = r"""
changes:
  description: One sentence for each thing that was changed, or would be in check mode. No secret is in it.
  returned: success
  type: list
  elements: str
  sample:
    - "role shop: connection limit: 20 -> 40"
    - "role shop: password: another -> as declared"
"""

import os
import shutil

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.asgi.production.plugins.module_utils import _postgres as postgres

DATABASE = {
    "name": {"type": "str", "required": True},
    "owner": {"type": "str", "required": True},
    "owner_password": {"type": "str", "no_log": True},
    "user": {"type": "str"},
    "password": {"type": "str", "no_log": True},
    "connection_limit": {"type": "int"},
    "extensions": {"type": "list", "elements": "str", "default": []},
    "locale": {"type": "str", "default": "C.UTF-8"},
}
ARGUMENTS = {
    "databases": {"type": "list", "elements": "dict", "required": True, "options": DATABASE},
    "port": {"type": "int", "default": 5432},
    "socket_folder": {"type": "str", "default": "/run/postgresql"},
    "os_user": {"type": "str", "default": "postgres"},
}


def psql_argv(user: str, as_root: bool) -> list[str]:
    """Return how psql is started: as the server's superuser, with SQL on its standard input."""
    become = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "--"] if as_root else []
    return [
        *become,
        "psql",
        "-X",
        "--no-password",
        "--quiet",
        "--no-align",
        "--tuples-only",
        "--set=ON_ERROR_STOP=1",
        "--file=-",
    ]


class Psql:
    """psql on the host of this module."""

    def __init__(self, module: AnsibleModule) -> None:
        wanted = module.params
        self.module = module
        self.present = shutil.which("psql") is not None
        self.argv = psql_argv(wanted["os_user"], as_root=os.geteuid() == 0)
        self.environment = {
            "PGHOST": wanted["socket_folder"],
            "PGPORT": str(wanted["port"]),
            "PGUSER": wanted["os_user"],
            "PGDATABASE": "postgres",
            "PGCLIENTENCODING": "UTF8",
            "PGCONNECT_TIMEOUT": "10",
            "PGAPPNAME": "asgi.production",
        }

    def __call__(self, script: str) -> tuple[int, str, str]:
        """Run a script; return exit code, output and complaints."""
        return self.module.run_command(self.argv, data=script, cwd="/", environ_update=self.environment)


def read(module: AnsibleModule, psql: Psql) -> dict:
    """Return the state of the server. In check mode a server that is not there yet has nothing."""
    if not psql.present:
        if module.check_mode:
            return postgres.NOTHING
        module.fail_json(msg="There is no psql on this host: install PostgreSQL (role postgres) first.")
    code, said, complaint = psql(postgres.read_script(module.params["databases"]))
    if code == 0:
        state = postgres.parse(said)
        closed = [name for name, found in state["databases"].items() if "inside" not in found]
        if closed:
            cure = f'ALTER DATABASE "{closed[0]}" ALLOW_CONNECTIONS true'
            module.fail_json(msg=f"The database {closed[0]} lets nobody connect: {cure}.")
        return state
    where = f"{module.params['socket_folder']}, port {module.params['port']}"
    if code == 2 and module.check_mode:  # psql could not connect
        module.warn(f"PostgreSQL does not answer at {where}: what is shown is what would be made on a new server.")
        return postgres.NOTHING
    module.fail_json(msg=f"PostgreSQL at {where} did not say what is there: {complaint.strip()}")
    return {}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    databases = module.params["databases"]
    faults = postgres.faults(databases)
    if faults:
        module.fail_json(msg=" ".join(faults))
    psql = Psql(module)
    steps = postgres.plan(databases, read(module, psql))
    result = {"changed": bool(steps), "changes": [f"{step.thing}: {step.before} -> {step.after}" for step in steps]}
    if steps and not module.check_mode:
        code, _said, complaint = psql(postgres.change_script(steps))
        if code:
            module.fail_json(msg=f"PostgreSQL refused a change: {complaint.strip()}", **result)
    if steps and module._diff:
        result["diff"] = postgres.diff(steps)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
