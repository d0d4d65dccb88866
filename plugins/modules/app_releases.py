#!/usr/bin/python
# Copyright: asgi.production contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: app_releases
short_description: List the releases of an app on its host
description:
  - Says of each release that is on the host what it is, who deployed it, when, and whether it runs.
version_added: 1.0.0
author: asgi.production contributors (@asgi-production)
attributes:
  check_mode:
    support: full
    description: It changes nothing.
  diff_mode:
    support: none
    description: It changes nothing.
options:
  name:
    description: The app.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: See what is there
  asgi.production.app_releases:
    name: shop
  register: found
"""

RETURN = r"""
releases:
  description: The releases, the newest first.
  returned: success
  type: list
  elements: dict
  contains:
    id: {description: Its name., type: str}
    version: {description: What was asked for. Without a version the beginning of the revision., type: str}
    revision: {description: "The commit, or a hash of the folder.", type: str}
    by: {description: Who made it serve the last time. Empty when it never did., type: str}
    activated: {description: When that was. Empty when it never was., type: str}
    state:
      description:
        - C(serves); C(down), when it should serve and does not run; C(drains), until its last connection ends; C(warm),
          ready for a rollback; C(kept), not running; C(failed), or of a build that was killed.
      type: str
lines:
  description: The same as lines for a terminal.
  returned: success
  type: list
  elements: str
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.asgi.production.plugins.module_utils._release import ReleaseError, Releases

TITLES = {
    "id": "release",
    "version": "version",
    "revision": "commit",
    "by": "by",
    "activated": "when",
    "state": "state",
}


def lines(found: list[dict[str, t.Any]]) -> list[str]:
    """A table."""
    rows = [TITLES, *({**release, "revision": release["revision"][:18]} for release in found)]
    widths = {key: max(len(row[key]) for row in rows) for key in TITLES}
    return ["  ".join(f"{row[key]:{widths[key]}}" for key in TITLES).rstrip() for row in rows]


def main() -> None:
    module = AnsibleModule(argument_spec={"name": {"type": "str", "required": True}}, supports_check_mode=True)
    try:
        found = Releases(module.params).table()
    except ReleaseError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, releases=found, lines=lines(found))


if __name__ == "__main__":
    main()
