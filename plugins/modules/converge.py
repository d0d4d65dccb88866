#!/usr/bin/python
# Copyright: asgi.production contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: converge
short_description: Bring packages, files and systemd units of one role into their declared state, as one transaction
description:
  - Asks the host once. When nothing differs, that one module run was all.
  - Otherwise it changes what differs in this order. Files below C(/etc/apt); packages, while no daemon may start;
    files below C(/etc/sysusers.d) and C(/etc/tmpfiles.d), which are applied at once; all other files, staged beside
    their targets; the check; renames; C(daemon-reload) where a unit or drop-in changed; units enabled, started,
    restarted or reloaded.
  - What is still to do stands in C(/var/lib/asgi-production/<id>.json) before the first change is made. A run that was
    killed, or a reload that failed, is finished by the next run. There is nothing for a handler to forget.
  - What an earlier run under the same O(id) wrote and this one no longer declares is removed. A file that was there
    before the collection came is kept aside and given back then. Nothing else is ever removed.
  - It knows packages, files, links, folders and units of Debian and Ubuntu hosts, and nothing else.
version_added: 1.0.0
author: asgi.production contributors (@asgi-production)
attributes:
  check_mode:
    support: full
    description:
      - Says what would change and runs O(check) in its private view. What a package that is not yet installed would
        bring is not known.
  diff_mode:
    support: full
    description: Shows files before and after; never those with O(files[].secret).
  platform:
    platforms: debian
    support: full
    description: Debian 12 and 13, Ubuntu 24.04; systemd.
  idempotent:
    support: full
    description: A second run is one module run that changes nothing.
  action:
    support: full
    description: Templates are rendered on the controller.
  async:
    support: none
    description: A transaction has several steps.
options:
  id:
    description:
      - The key of the manifest on the host, unique for each call. Lower-case; parts are separated by C(/).
    type: str
    required: true
  state:
    description:
      - V(absent) undoes all that runs under this O(id) have done, but for packages, which stay installed.
    type: str
    default: present
    choices: [present, absent]
  packages:
    description:
      - Packages to have, each by name or as C(name=version). Recommended packages are not taken.
    type: list
    elements: str
    default: []
  files:
    description:
      - Paths and their declared state.
    type: list
    elements: dict
    default: []
    suboptions:
      dest:
        description:
          - The absolute path. Missing parent folders are made, C(root:root 0755).
        type: str
        required: true
      state:
        description:
          - What must be there. V(absent) removes a file or link; a stranger's is kept aside.
        type: str
        default: file
        choices: [file, directory, link, absent]
      template:
        description:
          - The template, by Ansible's search path for templates; the folder in the variable
            C(asgi_production_templates), if set, comes first.
          - The default is O(files[].dest) without its first C(/) and with C(.j2) at its end.
        type: str
      vars:
        description:
          - More variables for this file's template. They win over variables of the play.
        type: dict
      content:
        description:
          - The contents, instead of a template.
        type: str
      src:
        description:
          - What a link points to.
        type: str
      owner:
        description:
          - The owner, by name or number.
        type: str
        default: root
      group:
        description:
          - The group, by name or number.
        type: str
        default: root
      mode:
        description:
          - The mode, an octal number in quotes. The default is C("0644"), for folders C("0755").
        type: str
      secret:
        description:
          - No diff of this file is shown, and values that its template did not contain are masked where a program
            quotes them.
        type: bool
        default: false
  check:
    description:
      - A program and its arguments that says whether the new files are right, such as C([nginx, -t, -q]).
      - It sees the new files at their real paths, and nobody else does yet (a private mount namespace). Where the
        kernel refuses that, they are put in place and put back on failure, and RV(notes) says so.
      - It runs in check mode too, and only when something differs. A non-zero exit code stops everything before a file
        has changed.
    type: list
    elements: str
    default: []
  units:
    description:
      - systemd units that belong to these files.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description:
          - The unit's whole name.
        type: str
        required: true
      enabled:
        description:
          - Whether the unit starts at boot; C(null) leaves it alone. The default is C(true).
        type: bool
      state:
        description:
          - V(unchanged) leaves it alone, but restarts or reloads it when it runs and something changed. The default is
            V(started).
        type: str
        choices: [started, stopped, unchanged]
      manage:
        description:
          - With V(false) the unit belongs to somebody else and is only restarted or reloaded, and only when it runs.
        type: bool
        default: true
      restart_on:
        description:
          - Patterns (C(*) matches C(/) too). The unit is restarted when a path that matches has changed, also one of a
            package installed by this call.
        type: list
        elements: str
        default: []
      reload_on:
        description:
          - The same, for a reload. A restart beats a reload.
        type: list
        elements: str
        default: []
  lock_timeout:
    description:
      - Seconds to wait for another run on the same host, and for another use of apt.
    type: int
    default: 300
notes:
  - Files are compared by content, owner, group and mode, links by their target.
seealso:
  - module: ansible.builtin.apt
  - module: ansible.builtin.template
  - module: ansible.builtin.systemd_service
"""

EXAMPLES = r"""
- name: Converge nginx
  asgi.production.converge:
    id: nginx
    packages: [nginx]
    files:
      - dest: /etc/nginx/nginx.conf # templates/etc/nginx/nginx.conf.j2
      - dest: /etc/nginx/asgi.d/shop.conf
        template: site.conf.j2
      - dest: /etc/nginx/tls/shop.key
        content: "{{ nginx_key }}"
        group: www-data
        mode: "0640"
        secret: true
      - dest: /etc/nginx/sites-enabled/default
        state: absent
    check: [nginx, -t, -q]
    units:
      - name: nginx.service
        reload_on: [/etc/nginx/*]

- name: Undo it
  asgi.production.converge:
    id: nginx
    state: absent
"""

RETURN = r"""
packages:
  description: Packages that were installed.
  returned: success
  type: list
  elements: str
files:
  description: Paths that were made or changed.
  returned: success
  type: list
  elements: str
removed:
  description: Paths that were removed or given back.
  returned: success
  type: list
  elements: str
units:
  description: Unit to what was done with it.
  returned: success
  type: dict
  sample: {"nginx.service": ["reload"]}
notes:
  description: What a person should know, such as that the check could not be run.
  returned: when there is something to say
  type: list
  elements: str
module_runs:
  description: How many modules ran on the host.
  returned: always
  type: int
  sample: 1
"""
