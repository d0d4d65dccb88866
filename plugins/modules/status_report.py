#!/usr/bin/python
# Copyright: asgi.production contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: status_report
short_description: Show what health modules have found on all hosts
description:
  - Collects the results that health modules have registered on the hosts of a play, and shows them as one table,
    as JSON or as one HTML page that needs no network.
  - It runs on the controller, once, and asks no host.
version_added: 1.0.0
author: asgi.production contributors (@asgi-production)
options:
  parts:
    description: The names of the parts, in the order in which they are shown.
    type: list
    elements: str
    required: true
  prefix:
    description: What stands before a part's name in the variable that holds its registered result.
    type: str
    default: status_
  format:
    description: How to show it.
    type: str
    choices: [table, json, html]
    default: table
  file:
    description: The file on the controller to write to. JSON is printed unless given, HTML goes to V(status.html).
    type: str
    default: ''
  title:
    description: The title of the HTML page.
    type: str
    default: Status
  fail_on:
    description: The status from which the task fails.
    type: str
    choices: [failed, degraded, never]
    default: failed
attributes:
  check_mode:
    support: full
    description: It changes nothing on a host.
  diff_mode:
    support: none
    description: It changes nothing on a host.
"""

EXAMPLES = r"""
- name: Ask PostgreSQL, and go on
  asgi.production.postgres_health:
    unix_socket: /run/postgresql
    os_user: postgres
    fail_on: never
  register: status_postgres

- name: Show it
  asgi.production.status_report:
    parts: [postgres]
  run_once: true
"""

RETURN = r"""
status:
  description: The worst status of all.
  returned: always
  type: str
"""
