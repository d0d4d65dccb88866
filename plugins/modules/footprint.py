#!/usr/bin/python
# Copyright: asgi.production contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: footprint
short_description: List what this collection has put on a host
description:
  - Reads the manifests that M(asgi.production.converge) keeps on the host.
  - Says of each path, unit and package which call put it there.
  - What modules make in databases, and the files inside an app's releases, are in no manifest and not listed.
version_added: 1.0.0
author: asgi.production contributors (@asgi-production)
attributes:
  check_mode:
    support: full
    description: It changes nothing.
  diff_mode:
    support: none
    description: It changes nothing.
options: {}
"""

EXAMPLES = r"""
- name: See what is there
  asgi.production.footprint:
  register: found
"""

RETURN = r"""
footprint:
  description: What each call has put on the host.
  returned: always
  type: list
  elements: dict
  contains:
    id: {description: The id of the call; the role's name as a rule., type: str}
    files: {description: Paths of files and links., type: list}
    folders: {description: Folders that it made., type: list}
    removed: {description: Paths that it keeps away., type: list}
    units: {description: Units that it manages., type: list}
    packages: {description: Packages that it declares., type: list}
    pending: {description: Whether a run has left something for the next one., type: bool}
lines:
  description: The same as lines for a terminal.
  returned: always
  type: list
  elements: str
"""

import glob
import json
import typing as t

from ansible.module_utils.basic import AnsibleModule

STATE = "/var/lib/asgi-production"


def read(state: str) -> list[dict[str, t.Any]]:
    """What each manifest below a folder says, by id."""
    found = []
    for path in sorted(glob.glob(f"{glob.escape(state)}/**/*.json", recursive=True)):
        with open(path, encoding="utf-8") as stream:
            mark = json.load(stream)
        kinds: dict[str, list[str]] = {"file": [], "folder": [], "absent": []}
        for name, kept in sorted(mark["files"].items()):
            kind = {"file": "file", "link": "file", "absent": "absent"}.get(kept["kind"], "folder")
            if kind != "folder" or kept["made"]:
                kinds[kind].append(name)
        found.append(
            {
                "id": path[len(state) + 1 : -len(".json")],
                "files": kinds["file"],
                "folders": kinds["folder"],
                "removed": kinds["absent"],
                "units": mark["units"],
                "packages": mark["packages"],
                "pending": bool(mark["pending"]),
            }
        )
    return found


def lines(found: list[dict[str, t.Any]]) -> list[str]:
    """One line for each thing, with the call that put it there."""
    width = max((len(call["id"]) for call in found), default=0)
    names = (
        ("files", "file"),
        ("folders", "folder"),
        ("removed", "removed"),
        ("units", "unit"),
        ("packages", "package"),
    )
    shown = [f"{call['id']:{width}}  {name:8} {item}" for call in found for key, name in names for item in call[key]]
    return shown + [f"{call['id']:{width}}  pending  the next run finishes it" for call in found if call["pending"]]


def main() -> None:
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    found = read(STATE)
    module.exit_json(changed=False, footprint=found, lines=lines(found))


if __name__ == "__main__":
    main()
