#!/usr/bin/python
# Copyright: asgi.production contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: http_health
short_description: Ask whether a URL answers as it should
description:
  - Sends one GET, by the URL's own host, by another address or by a unix socket, and judges status, time and JSON of
    the answer.
version_added: 1.0.0
author: asgi.production contributors (@asgi-production)
extends_documentation_fragment: [asgi.production.health]
options:
  url:
    description: The URL. No redirect is followed.
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
  status_code:
    description: Status codes that are right.
    type: list
    elements: int
    default: [200]
  json_equals:
    description: Values that the answer's JSON must have; nested keys are joined with a dot, as in C(checks.redis.ok).
    type: dict
    default: {}
  slow_seconds:
    description: An answer that takes longer is degraded.
    type: float
    default: 5
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
import json
import re
import time
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.asgi.production.plugins.module_utils import _http, health
from ansible_collections.asgi.production.plugins.module_utils.health import Check

URL = re.compile(r"https?://[^/?#]")


def look_up(data: t.Any, path: str) -> t.Any:
    """The value at a dotted path; None where the path leads nowhere."""
    for key in path.split("."):
        data = data.get(key) if isinstance(data, dict) else None
    return data


def as_object(body: bytes) -> dict:
    """The body as a JSON object; an empty one when it is something else."""
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def judge(answer: _http.Answer, seconds: float, params: dict) -> list[Check]:
    """What an answer is worth."""
    url, right = params["url"], params["status_code"]
    good = answer.status in right
    words = answer.body[:300].decode("utf-8", "replace").strip()
    checks = [
        Check(
            "status",
            "ok" if good else "failed",
            answer.status,
            "",
            right,
            "" if good else f"it answers {answer.status}: {words}",
        ),
    ]
    slow = seconds > params["slow_seconds"]
    message = f"{url} took {seconds:.2f} s" if slow else ""
    checks.append(
        Check("seconds", "degraded" if slow else "ok", round(seconds, 3), "s", params["slow_seconds"], message)
    )
    found = as_object(answer.body)
    for path, wanted in params["json_equals"].items():
        value = look_up(found, path)
        same = value == wanted
        message = "" if same else f"{path} is {value!r} instead of {wanted!r}"
        checks.append(Check(f"json {path}", "ok" if same else "failed", value, "", wanted, message))
    return checks


def main() -> None:
    module = AnsibleModule(
        argument_spec=dict(
            health.ARGUMENTS,
            url={"type": "str", "required": True},
            address={"type": "str", "default": ""},
            port={"type": "int", "default": 0},
            unix_socket={"type": "path", "default": ""},
            validate_certs={"type": "bool", "default": True},
            status_code={"type": "list", "elements": "int", "default": [200]},
            json_equals={"type": "dict", "default": {}},
            slow_seconds={"type": "float", "default": 5},
        ),
        supports_check_mode=True,
    )
    params, seen = module.params, {}
    if not URL.match(params["url"]):
        module.fail_json(
            msg=f"url is {params['url']!r}: give a whole one, such as https://shop.example.com/health/ready."
        )

    def probe(left: float) -> list[Check]:
        start = time.monotonic()
        try:
            answer = _http.get(
                params["url"], params["address"], params["port"], params["unix_socket"], left, params["validate_certs"]
            )
        except (OSError, http.client.HTTPException) as error:
            return [Check("answer", "failed", message=f"it can't be reached ({str(error) or type(error).__name__})")]
        seen["json"] = as_object(answer.body)
        return judge(answer, time.monotonic() - start, params)

    result = health.poll(probe, params)
    health.finish(module, params["url"], dict(result, **({"json": seen["json"]} if seen.get("json") else {})))


if __name__ == "__main__":
    main()
