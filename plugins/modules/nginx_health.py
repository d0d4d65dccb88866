#!/usr/bin/python
# Copyright: asgi.production contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: nginx_health
short_description: See that nginx runs, and would start again
description:
  - Looks at nginx's processes, lets it check its own configuration, and connects to its ports and
    to the apps behind it.
  - Apps are reached as nginx's user, because root could open a socket that nginx can't.
version_added: 1.0.0
author: asgi.production contributors (@asgi-production)
extends_documentation_fragment: [asgi.production.health]
options:
  configuration:
    description: Whether nginx must find its configuration valid (C(nginx -t)). For that the module must be root.
    type: bool
    default: true
  pid_file:
    description: The file with the number of nginx's first process.
    type: path
    default: /run/nginx.pid
  host:
    description: Where the ports are.
    type: str
    default: 127.0.0.1
  ports:
    description: Ports that must be served.
    type: list
    elements: int
    default: []
  upstreams:
    description: What nginx passes requests to, such as V(unix:/run/shop/app.sock) or V(10.0.0.7:8000).
    type: list
    elements: str
    default: []
  user:
    description: The user as whom nginx serves.
    type: str
    default: www-data
  status_url:
    description: The page of nginx's module C(stub_status). Not asked for when empty.
    type: str
    default: ''
  worker_connections:
    description: The setting of that name, to judge how many connections are open. Not judged when 0.
    type: int
    default: 0
  connections_degraded:
    description: Connections that are open from which it is degraded, in percent of those that all workers may have.
    type: float
    default: 80
  connections_failed:
    description: Connections that are open from which it is failed, in percent of those that all workers may have.
    type: float
    default: 95
"""

EXAMPLES = r"""
- name: See that nginx is well, and that the shop is behind it
  asgi.production.nginx_health:
    ports: [80, 443]
    upstreams: ["unix:/srv/shop/current/run/app.sock"]
  become: true
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

import re
import socket

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.asgi.production.plugins.module_utils import _nginx_health, health

ARGUMENTS = dict(
    health.ARGUMENTS,
    configuration={"type": "bool", "default": True},
    pid_file={"type": "path", "default": "/run/nginx.pid"},
    host={"type": "str", "default": "127.0.0.1"},
    ports={"type": "list", "elements": "int", "default": []},
    upstreams={"type": "list", "elements": "str", "default": []},
    user={"type": "str", "default": "www-data"},
    status_url={"type": "str", "default": ""},
    worker_connections={"type": "int", "default": 0},
    **_nginx_health.LIMITS,
)
UPSTREAM = re.compile(r"unix:/.|[^/:]+:\d{1,5}$|\[[0-9A-Fa-f:.]+\]:\d{1,5}$")


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    params = module.params
    odd = [name for name in params["upstreams"] if not UPSTREAM.match(name)]
    if odd:
        module.fail_json(msg=f"upstreams has {odd[0]!r}: write unix:/path or host:port.")
    health.run(module, f"nginx on {socket.gethostname()}", lambda left: _nginx_health.probe(params, left))


if __name__ == "__main__":
    main()
