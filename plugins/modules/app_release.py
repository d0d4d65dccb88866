#!/usr/bin/python
# Copyright: asgi.production contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: app_release
short_description: Build, migrate, activate and roll back releases of an app on its host
description:
  - The steps of a deploy. C(build) makes a release folder and its virtual environment, C(migrate) runs the migration
    command from it, C(activate) starts it, asks whether it is ready, points C(/srv/<app>/current) to it, checks it
    through nginx, and hands the release before to a unit that waits for its last request. C(rollback) does the same as
    C(activate) with a release that is kept on the host.
  - A release is made anew only when its fingerprint differs, which is the source's revision together with the app's
    environment, its unit and the options of the build. So a change of settings is a deploy as well, and loses no
    request either.
  - A release that fails on the way changes nothing for the one that serves. A deploy that is killed at any point is
    finished by the next one.
  - It needs what the role C(asgi.production.app) lays down, such as the app's users, folders and units.
version_added: 1.0.0
author: asgi.production contributors (@asgi-production)
attributes:
  check_mode:
    support: full
    description: Says whether a release would be made.
  diff_mode:
    support: none
    description: A release is a folder of many files.
  idempotent:
    support: full
    description: The step C(build) of a release that already serves changes nothing.
  action:
    support: full
    description: A local folder is packed on the controller and sent only when it differs.
options:
  step:
    description: What to do.
    type: str
    required: true
    choices: [build, migrate, activate, rollback]
  name:
    description: The app. Users, units and folders are named for it.
    type: str
    required: true
  release:
    description:
      - The release to migrate or activate, as C(build) returned it; or the one to go back to.
      - For C(rollback) the default is the one that served before the current one was deployed.
    type: str
    default: ''
  source:
    description:
      - The URL of a git repository, or the absolute path of a folder on the controller.
      - Credentials in a URL are used, but neither shown nor kept on the host. Submodules are not fetched.
      - From a work tree of git only what git would track is taken, from another folder all but the usual litter.
      - Needed for the step C(build).
    type: str
    default: ''
  credentials:
    description: Set by the action plugin. Name and password that stood in O(source).
    type: str
    default: ''
  version:
    description:
      - Tag, branch or whole commit id; for a folder only a name that the app is told.
      - The default is the repository's own default branch.
    type: str
    default: ''
  subfolder:
    description: Where in the source the app is.
    type: str
    default: ''
  module:
    description:
      - The application as C(module:variable).
      - By default it is looked for in C(pyproject.toml) and in the usual files.
    type: str
    default: ''
  requirements:
    description:
      - The file that lists the dependencies.
      - By default the first of C(uv.lock), C(requirements.txt) and C(pyproject.toml).
    type: str
    default: ''
  server_requirements:
    description: Those of them are installed of which the app brings no version of its own.
    type: list
    elements: str
    default: []
  python:
    description: The interpreter.
    type: path
    default: /usr/bin/python3
  uv_version:
    description: The version of uv that builds. Needed for the step C(build).
    type: str
    default: ''
  scripts:
    description:
      - Shell scripts of the release by name. The app's unit runs C(start) as the app, and C(gate), as root, until it
        succeeds; both with the release's id as argument.
    type: dict
    default: {}
  environment:
    description: The app's environment, as JSON.
    type: str
    default: ''
  secrets:
    description: The part of the environment whose values are taken out of whatever is shown, as JSON.
    type: str
    default: ''
  build_environment:
    description: Environment of the build, such as C(UV_DEFAULT_INDEX), as JSON.
    type: str
    default: ''
  build_timeout:
    description: Seconds that one step of the build may take.
    type: int
    default: 900
  migrate_command:
    description: The migration, as a shell command in the app's folder.
    type: str
    default: ''
  migrate_environment:
    description: What differs from O(environment) for the migration, as JSON.
    type: str
    default: ''
  migrate_timeout:
    description: Seconds that the migration may take.
    type: int
    default: 600
  start_timeout:
    description: Seconds until a release must be ready.
    type: int
    default: 60
  check_urls:
    description: URLs that must answer with 2xx or 3xx through nginx on this host after the flip.
    type: list
    elements: str
    default: []
  check_port:
    description: The port on which nginx serves them; 0 is the URL's own.
    type: int
    default: 0
  keep:
    description: Complete releases to keep.
    type: int
    default: 3
  keep_warm:
    description:
      - Let the release before run on after a deploy, for a rollback without a start. It goes when the next one comes.
      - A rollback stops what it leaves in any case.
    type: bool
    default: false
  by:
    description: Who deploys, for the history. The default is the user on the host.
    type: str
    default: ''
  lock_timeout:
    description: Seconds to wait for another deploy of the app on the same host.
    type: int
    default: 300
  revision:
    description: Set by the action plugin for a folder.
    type: str
    default: ''
  local:
    description: Set by the action plugin. Whether the source is a folder.
    type: bool
    default: false
  archive:
    description: Set by the action plugin. The packed folder on the host.
    type: path
    default: ''
"""

EXAMPLES = r"""
- name: Build the release
  asgi.production.app_release:
    step: build
    name: shop
    source: https://git.example.com/shop.git
    version: v1.4.2
    uv_version: 0.13.9
  register: built

- name: Let it serve
  asgi.production.app_release:
    step: activate
    name: shop
    release: "{{ built.release }}"
  when: built.due

- name: Go back to the release before
  asgi.production.app_release:
    step: rollback
    name: shop
"""

RETURN = r"""
release:
  description: The release; empty in check mode when it would have to be built.
  returned: success
  type: str
  sample: 20261124T041710.1a2b3c4d
due:
  description: Whether the release has to be activated.
  returned: step is build
  type: bool
current:
  description: The release that served when the step began; empty before the first.
  returned: step is build
  type: str
revision:
  description: The commit, or a hash of the folder.
  returned: step is build
  type: str
before:
  description: The release that served before; empty the first time.
  returned: step is activate or rollback
  type: str
removed:
  description: Old releases that were removed.
  returned: step is activate or rollback
  type: list
  elements: str
module_runs:
  description: How many modules ran on the host.
  returned: always
  type: int
"""

import traceback

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.asgi.production.plugins.module_utils._release import ReleaseError, Releases

ARGUMENTS = {
    "step": {"type": "str", "required": True, "choices": ["build", "migrate", "activate", "rollback"]},
    "name": {"type": "str", "required": True},
    "release": {"type": "str", "default": ""},
    "source": {"type": "str", "default": ""},
    "credentials": {"type": "str", "default": "", "no_log": True},
    "version": {"type": "str", "default": ""},
    "subfolder": {"type": "str", "default": ""},
    "module": {"type": "str", "default": ""},
    "requirements": {"type": "str", "default": ""},
    "server_requirements": {"type": "list", "elements": "str", "default": []},
    "python": {"type": "path", "default": "/usr/bin/python3"},
    "uv_version": {"type": "str", "default": ""},
    "scripts": {"type": "dict", "default": {}},
    "environment": {"type": "str", "default": "", "no_log": True},
    "secrets": {"type": "str", "default": "", "no_log": True},
    "build_environment": {"type": "str", "default": "", "no_log": True},
    "build_timeout": {"type": "int", "default": 900},
    "migrate_command": {"type": "str", "default": ""},
    "migrate_environment": {"type": "str", "default": "", "no_log": True},
    "migrate_timeout": {"type": "int", "default": 600},
    "start_timeout": {"type": "int", "default": 60},
    "check_urls": {"type": "list", "elements": "str", "default": []},
    "check_port": {"type": "int", "default": 0},
    "keep": {"type": "int", "default": 3},
    "keep_warm": {"type": "bool", "default": False},
    "by": {"type": "str", "default": ""},
    "lock_timeout": {"type": "int", "default": 300},
    "revision": {"type": "str", "default": ""},
    "local": {"type": "bool", "default": False},
    "archive": {"type": "path", "default": ""},
}


def main() -> None:
    needed = [("step", "build", ["source", "uv_version"])]
    module = AnsibleModule(argument_spec=ARGUMENTS, required_if=needed, supports_check_mode=True)
    params = module.params
    try:
        report = Releases(params).perform(params["step"], params["release"], module.check_mode)
    except (ReleaseError, OSError) as error:
        trace = "" if isinstance(error, ReleaseError) else traceback.format_exc()
        module.fail_json(msg=str(error), trace=trace)
    module.exit_json(**report)


if __name__ == "__main__":
    main()
