#!/usr/bin/python
# Copyright: asgi.production contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: http_health
short_description: Ask whether a URL answers as it should
description:
  - Sends one GET, by the URL's own host, by another address or by a unix socket, and judges status, time, headers, text
    and JSON of the answer.
version_added: 1.0.0
author: asgi.production contributors (@asgi-production)
extends_documentation_fragment: [asgi.production.health]
options:
  url:
    description: The URL.
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
  request_headers:
    description: Headers to send, such as one with a token. They go to the URL's own host only.
    type: dict
    default: {}
  redirects:
    description: How many redirects to follow. A redirect that is not followed is the answer.
    type: int
    default: 0
  status_code:
    description: Status codes that are right.
    type: list
    elements: int
    default: [200]
  json_equals:
    description: Values that the answer's JSON must have; nested keys are joined with a dot, as in C(checks.redis.ok).
    type: dict
    default: {}
  headers_contain:
    description: Text that a header of the answer must contain, by the header's name.
    type: dict
    default: {}
  text:
    description: Texts that the answer must contain.
    type: list
    elements: str
    default: []
  seconds_degraded:
    description: Seconds for the answer from which it is degraded.
    type: float
    default: 5
  seconds_failed:
    description: Seconds for the answer from which it is failed.
    type: float
    default: -1
"""

EXAMPLES = r"""
- name: See that the shop is ready, as nginx on this host serves it
  asgi.production.http_health:
    url: https://shop.example.com/health/ready
    address: 127.0.0.1
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
json:
  description: The answer, when it is a JSON object.
  returned: when there is one
  type: dict
"""

import http.client
import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.asgi.production.plugins.module_utils import _http, health
from ansible_collections.asgi.production.plugins.module_utils.health import Check

ARGUMENTS = dict(
    health.ARGUMENTS,
    url={"type": "str", "required": True},
    address={"type": "str", "default": ""},
    port={"type": "int", "default": 0},
    unix_socket={"type": "path", "default": ""},
    validate_certs={"type": "bool", "default": True},
    ca_path={"type": "path", "default": ""},
    request_headers={"type": "dict", "default": {}, "no_log": True},
    redirects={"type": "int", "default": 0},
    status_code={"type": "list", "elements": "int", "default": [200]},
    headers_contain={"type": "dict", "default": {}},
    text={"type": "list", "elements": "str", "default": []},
    json_equals={"type": "dict", "default": {}},
    **health.limits(seconds=(5, -1)),
)


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    params, seen = module.params, {}
    if not _http.URL.match(params["url"]):
        module.fail_json(msg=f"url is {params['url']!r}: give a whole one, such as {_http.EXAMPLE}.")
    there = [params[name] for name in ("address", "port", "unix_socket")]
    trust = [params["validate_certs"], params["ca_path"], params["request_headers"]]

    def probe(left: float) -> list[Check]:
        start = time.monotonic()
        try:
            answer = _http.follow(params["redirects"], params["url"], *there, left, *trust)
        except OSError:  # one kind of which is an HTTPException as well
            raise
        except http.client.HTTPException as error:
            raise _http.no_http(error) from error
        seen["json"] = _http.as_object(answer.body)
        return _http.judge(answer, time.monotonic() - start, params)

    result = health.poll(probe, params)
    health.finish(module, params["url"], dict(result, **({"json": seen["json"]} if seen.get("json") else {})))


if __name__ == "__main__":
    main()
