#!/usr/bin/python
# Copyright: asgi.production contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: tls_health
short_description: Look at the certificate that a server serves
description:
  - Makes a TLS connection and judges the certificate, its names, days and key, and whether this host trusts it.
  - Can compare what is served with the file on the disk, which shows a renewed certificate that no server has read yet.
  - Stapled answers of an authority are not looked at, because Python's standard library does not show them.
version_added: 1.0.0
author: asgi.production contributors (@asgi-production)
extends_documentation_fragment: [asgi.production.health]
options:
  host:
    description: The name or address to connect to.
    type: str
    default: 127.0.0.1
  port:
    description: The port.
    type: int
    default: 443
  unix_socket:
    description: The unix socket to connect to, instead of O(host).
    type: path
    default: ''
  server_name:
    description: The name of the site to ask for. O(host) unless given.
    type: str
    default: ''
  names:
    description: Names that the certificate must be good for. O(server_name) unless given.
    type: list
    elements: str
    default: []
  ca_path:
    description: A file or folder with the authorities to trust, instead of the system's.
    type: path
    default: ''
  untrusted:
    description: What a certificate is worth that is for other names, or whose authority this host does not know.
    type: str
    choices: [ok, degraded, failed]
    default: failed
  file:
    description: A PEM file on the host whose first certificate must be the one that is served.
    type: path
    default: ''
  days_degraded:
    description: Days until the certificate ends from which it is degraded, in days.
    type: float
    default: 21
  days_failed:
    description: Days until the certificate ends from which it is failed, in days.
    type: float
    default: 7
"""

EXAMPLES = r"""
- name: See that the shop's certificate is good for three weeks, and is the one that was renewed
  asgi.production.tls_health:
    server_name: shop.example.com
    names: [shop.example.com, www.shop.example.com]
    file: /etc/letsencrypt/live/shop/fullchain.pem
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
from ansible_collections.asgi.production.plugins.module_utils import _tls_health, health

ARGUMENTS = dict(
    health.ARGUMENTS,
    host={"type": "str", "default": "127.0.0.1"},
    port={"type": "int", "default": 443},
    unix_socket={"type": "path", "default": ""},
    server_name={"type": "str", "default": ""},
    names={"type": "list", "elements": "str", "default": []},
    ca_path={"type": "path", "default": ""},
    untrusted={"type": "str", "choices": ["ok", "degraded", "failed"], "default": "failed"},
    file={"type": "path", "default": ""},
    **_tls_health.LIMITS,
)


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    params = module.params
    health.run(
        module,
        f"TLS of {params['server_name'] or params['host']}:{params['port']}",
        lambda left: _tls_health.probe(params, left),
    )


if __name__ == "__main__":
    main()
