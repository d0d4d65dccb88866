#!/usr/bin/python
# Copyright: asgi.production contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: converge_host
short_description: The half of asgi.production.converge that runs on the host
description:
  - Internal. M(asgi.production.converge) sends this module to the host; do not call it in a play.
version_added: 1.0.0
author: asgi.production contributors (@asgi-production)
attributes:
  check_mode:
    support: full
    description: In check mode the step V(apply) runs the check and changes nothing.
  diff_mode:
    support: none
    description: The action plugin makes the diff.
options:
  id:
    description: The key of the manifest, so that the host's journal tells which call this was.
    type: str
    required: true
  step:
    description: What to do with the plan.
    type: str
    required: true
    choices: [probe, prepare, apply]
  plan:
    description:
      - What the role declares, as JSON. It holds contents and hashes of secrets, so it is never logged.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Converge nginx (what a role calls; it sends this module)
  asgi.production.converge:
    id: nginx
    packages: [nginx]
"""

RETURN = r"""
report:
  description: What the step found or did.
  returned: success
  type: dict
"""

import json
import traceback

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.asgi.production.plugins.module_utils._converge import Converge, RefusedError


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "id": {"type": "str", "required": True},
            "step": {"type": "str", "required": True, "choices": ["probe", "prepare", "apply"]},
            "plan": {"type": "str", "required": True, "no_log": True},
        },
        supports_check_mode=True,
    )
    try:
        work = Converge(json.loads(module.params["plan"]), check_mode=module.check_mode)
        report = getattr(work, module.params["step"])()
    except (RefusedError, RuntimeError, OSError) as error:
        trace = "" if isinstance(error, RefusedError) else traceback.format_exc()
        module.fail_json(msg=str(error), trace=trace)
    module.exit_json(changed=False, report=report)


if __name__ == "__main__":
    main()
