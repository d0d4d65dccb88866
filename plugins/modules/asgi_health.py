#!/usr/bin/python
# Copyright: asgi.production contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: asgi_health
short_description: Ask an ASGI app over HTTP, a WebSocket and server-sent events
description:
  - Asks for the app's readiness and version, opens a WebSocket, and waits for the first server-sent event.
  - Through the edge it shows what clients get, by a unix socket what the app itself answers.
version_added: 1.0.0
author: asgi.production contributors (@asgi-production)
extends_documentation_fragment: [asgi.production.health]
options:
  url:
    description: The URL of the app's readiness, which must answer 200.
    type: str
    required: true
  address:
    description: Where to connect instead of the URL's host, which still names the site and its certificate.
    type: str
    default: ''
  port:
    description: The port to connect to instead of the URL's.
    type: int
    default: 0
  unix_socket:
    description: The unix socket to connect to.
    type: path
    default: ''
  validate_certs:
    description: Whether the certificate must be valid.
    type: bool
    default: true
  ca_path:
    description: A file or folder with the authorities to trust, instead of the system's.
    type: path
    default: ''
  version:
    description: The version that must answer. Any when empty.
    type: str
    default: ''
  version_key:
    description: Where the version is in the JSON of the readiness; nested keys are joined with a dot.
    type: str
    default: version
  websocket_path:
    description: A path at which a WebSocket must open. None when empty.
    type: str
    default: ''
  events_path:
    description: A path that must send server-sent events. None when empty.
    type: str
    default: ''
  seconds_degraded:
    description: Time for the answer of the readiness from which it is degraded, in seconds.
    type: float
    default: 5
  seconds_failed:
    description: Time for the answer of the readiness from which it is failed, in seconds.
    type: float
    default: -1
  first_event_degraded:
    description: Time until the first server-sent event from which it is degraded, in seconds.
    type: float
    default: 5
  first_event_failed:
    description: Time until the first server-sent event from which it is failed, in seconds.
    type: float
    default: -1
"""

EXAMPLES = r"""
- name: See that the shop answers as clients ask it
  asgi.production.asgi_health:
    url: https://shop.example.com/health/ready
    address: 127.0.0.1
    version: v1.4.2
    websocket_path: /ws
    events_path: /events
    retries: 5
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
from ansible_collections.asgi.production.plugins.module_utils import _asgi_health, _http, health

ARGUMENTS = dict(
    health.ARGUMENTS,
    url={"type": "str", "required": True},
    address={"type": "str", "default": ""},
    port={"type": "int", "default": 0},
    unix_socket={"type": "path", "default": ""},
    validate_certs={"type": "bool", "default": True},
    ca_path={"type": "path", "default": ""},
    version={"type": "str", "default": ""},
    version_key={"type": "str", "default": "version", "no_log": False},
    websocket_path={"type": "str", "default": ""},
    events_path={"type": "str", "default": ""},
    **_asgi_health.LIMITS,
)


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    params = module.params
    if not _http.URL.match(params["url"]):
        module.fail_json(msg=f"url is {params['url']!r}: give a whole one, such as {_http.EXAMPLE}.")
    health.run(module, params["url"], lambda left: _asgi_health.probe(params, left))


if __name__ == "__main__":
    main()
