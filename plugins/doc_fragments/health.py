# Copyright: asgi.production contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """What all health modules have in common; it goes with ARGUMENTS in module_utils/health.py."""

    DOCUMENTATION = r"""
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
