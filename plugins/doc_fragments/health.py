# Copyright: asgi.production contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """What all health modules have in common; it goes with ARGUMENTS and SERVER in module_utils/health.py."""

    DOCUMENTATION = r"""
notes:
  - A threshold counts from its value on, and a negative one is never reached.
  - It needs nothing on the host but Python's standard library, and leaves nothing there.
options:
  timeout:
    description: Seconds that the whole check may take, retries included.
    type: float
    default: 30
  retries:
    description: How often to ask again while the answer is worse than O(fail_on) allows.
    type: int
    default: 0
  delay:
    description: Seconds between two attempts.
    type: float
    default: 1
  fail_on:
    description: The status from which the task fails.
    type: str
    choices: [failed, degraded, never]
    default: failed
attributes:
  check_mode:
    support: full
    description: It changes nothing.
  diff_mode:
    support: none
    description: It changes nothing.
  idempotent:
    support: full
    description: It changes nothing.
"""

    SERVER = r"""
options:
  host:
    description: The name or address to connect to.
    type: str
    default: 127.0.0.1
  unix_socket:
    description: The unix socket to connect to, instead of O(host).
    type: path
    default: ''
  tls:
    description: Whether to speak TLS.
    type: bool
    default: false
  validate_certs:
    description: Whether the server's certificate must be valid for O(host).
    type: bool
    default: true
  ca_path:
    description: A file or folder with the authorities to trust, instead of the system's.
    type: path
    default: ''
"""
