# Copyright: asgi.production contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What asgi.production.systemd_health asks, and what it makes of the answer. Private to this collection."""

from __future__ import annotations

import fnmatch
import time
import typing as t

from ansible_collections.asgi.production.plugins.module_utils import health
from ansible_collections.asgi.production.plugins.module_utils.health import Check, Trouble

LIMITS = health.limits(restarts=(3, -1))
PROPERTIES = "Id,LoadState,ActiveState,SubState,Result,ExecMainStatus,NRestarts"
# What "systemctl is-system-running" says while all is well with the system itself; single units are asked for apart.
RUNNING = ("running", "degraded")


def blocks(text: str) -> list[dict[str, str]]:
    """Each unit's properties, from "systemctl show"."""
    found = [dict(line.split("=", 1) for line in part.splitlines() if "=" in line) for part in text.split("\n\n")]
    return [unit for unit in found if "Id" in unit]


def full_name(name: str) -> str:
    """A unit's name with its kind; a service unless it is said."""
    kinds = ("service", "socket", "timer", "target", "mount", "path", "slice", "device", "swap", "automount", "scope")
    return name if name.rpartition(".")[2] in kinds else f"{name}.service"


def judge_unit(unit: dict[str, str], params: dict) -> t.Iterator[Check]:
    name, state, sub = unit["Id"], unit.get("ActiveState", ""), unit.get("SubState", "")
    count = int(unit["NRestarts"]) if unit.get("NRestarts", "").isdigit() else 0
    end = f"{unit.get('Result', '')}, exit status {unit.get('ExecMainStatus') or '0'}"
    worth, words = "failed", ""
    if state == "failed":
        words = f"{name} has failed ({end}): see journalctl -u {name}"
    elif sub == "auto-restart":
        words = f"{name} ends again and again ({count} restarts, {end}): see journalctl -u {name}"
    elif state in ("activating", "reloading", "deactivating", "refreshing"):
        worth, words = "degraded", f"{name} is {state}"
    elif state != "active":
        words = f"{name} is stopped" if unit.get("LoadState") != "masked" else f"{name} is masked"
    yield health.expected(name, not words, f"{state} ({sub})", "active", words, worth)
    words = f"{name} was restarted {count} times by systemd: see journalctl -u {name}"
    yield health.measured("restarts", count, params, words, "restarts")._replace(name=f"{name} restarts")


def judge(units: list[dict[str, str]], failed: list[str], state: str, params: dict) -> list[Check]:
    checks = []
    seen = set()
    for wanted in params["units"]:
        pattern = full_name(wanted)
        found = [unit for unit in units if fnmatch.fnmatchcase(unit["Id"], pattern)]
        found = found or [unit for unit in units if pattern in unit.get("Names", "").split()]
        if not [unit for unit in found if unit.get("LoadState") != "not-found"]:
            checks.append(
                Check(pattern, "failed", None, "", "active", f"there is no unit {pattern}, or none is running")
            )
            continue
        for unit in found:
            if unit["Id"] not in seen:
                seen.add(unit["Id"])
                checks += judge_unit(unit, params)
    others = [
        name
        for name in failed
        if name not in seen and not any(fnmatch.fnmatchcase(name, full_name(p)) for p in params["ignore"])
    ]
    words = f"{', '.join(others)} {'have' if len(others) > 1 else 'has'} failed: see systemctl --failed"
    checks.append(health.expected("other units", not others, others, [], words, "degraded"))
    words = (
        "the system has not finished its start" if state in ("starting", "initializing") else f"the system is {state}"
    )
    worth = "degraded" if state in ("starting", "initializing") else "failed"
    checks.append(health.expected("system", state in RUNNING, state, "running", words, worth))
    return checks


def probe(params: dict, seconds: float) -> list[Check]:
    end = time.monotonic() + seconds

    def systemctl(*words: str) -> str:
        return health.command(["systemctl", "--no-pager", *words], end - time.monotonic()).stdout

    state = systemctl("is-system-running").strip()
    if not state or state in ("offline", "unknown"):
        raise Trouble("systemd does not answer on this host")
    names = [full_name(name) for name in params["units"]]
    units = blocks(systemctl("show", f"--property={PROPERTIES},Names", "--", *names)) if names else []
    listed = systemctl("list-units", "--failed", "--plain", "--no-legend", "--full")
    return judge(units, [line.split()[0] for line in listed.splitlines() if line.strip()], state, params)
