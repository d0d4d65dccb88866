#!/usr/bin/python
# Copyright: asgi.production contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: systemd_health
short_description: See that units run, and that none has failed
description:
  - Asks systemd for the state of some units, for all units that have failed, and whether
    the system has finished its start.
  - A unit that ends and is restarted again and again is told from one that is stopped.
version_added: 1.0.0
author: asgi.production contributors (@asgi-production)
extends_documentation_fragment: [asgi.production.health]
options:
  units:
    description:
      - Units that must be active, a service unless the name says something else.
      - A pattern such as V(shop@*) is for all units that are loaded, and at least one must be.
    type: list
    elements: str
    default: []
  ignore:
    description: Units, or patterns, that may have failed.
    type: list
    elements: str
    default: []
  restarts_degraded:
    description: Restarts by systemd since a unit was started, from which it is degraded, in restarts.
    type: float
    default: 3
  restarts_failed:
    description: Restarts by systemd since a unit was started, from which it is failed, in restarts.
    type: float
    default: -1
"""

EXAMPLES = r"""
- name: See that the shop's units run
  asgi.production.systemd_health:
    units: [nginx, redis-server, "postgresql@*", "shop@*"]
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

import socket

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.asgi.production.plugins.module_utils import _systemd_health, health

ARGUMENTS = dict(
    health.ARGUMENTS,
    units={"type": "list", "elements": "str", "default": []},
    ignore={"type": "list", "elements": "str", "default": []},
    **_systemd_health.LIMITS,
)


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    params = module.params
    health.run(module, f"systemd on {socket.gethostname()}", lambda left: _systemd_health.probe(params, left))


if __name__ == "__main__":
    main()
