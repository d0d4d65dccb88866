# Copyright: asgi.production contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every health module shares: options, polling, one shape of the result. A module writes only its probe."""

from __future__ import annotations

import time
import typing as t

ARGUMENTS: dict[str, t.Any] = {
    "timeout": {"type": "float", "default": 30},
    "retries": {"type": "int", "default": 0},
    "delay": {"type": "float", "default": 1},
    "fail_on": {"type": "str", "choices": ["failed", "degraded", "never"], "default": "failed"},
}
WORSE = ("ok", "degraded", "failed")


class Check(t.NamedTuple):
    """One question and its answer. unit and threshold belong to value; message is for a tired person."""

    name: str
    status: str
    value: t.Any = None
    unit: str = ""
    threshold: t.Any = None
    message: str = ""


def worst(checks: t.Iterable[Check]) -> str:
    """The worst status of some checks; nothing asked is nothing known, so that is a failure."""
    return max((check.status for check in checks), key=WORSE.index, default="failed")


def fails(status: str, fail_on: str) -> bool:
    return fail_on != "never" and WORSE.index(status) >= WORSE.index(fail_on)


def poll(
    probe: t.Callable[[float], list[Check]],
    params: dict,
    sleep: t.Callable[[float], None] = time.sleep,
    clock: t.Callable[[], float] = time.monotonic,
) -> dict[str, t.Any]:
    """Ask until the answer is good enough, retries or time are used up. ``probe`` gets the seconds that are left."""
    start, attempts = clock(), 0
    while True:
        attempts += 1
        checks = probe(max(0.1, params["timeout"] - (clock() - start)))
        status = worst(checks)
        spent = clock() - start
        enough = not fails(status, params["fail_on"]) or attempts > params["retries"]
        if enough or spent + params["delay"] >= params["timeout"]:
            return {
                "healthy": status == "ok",
                "status": status,
                "checks": [check._asdict() for check in checks],
                "attempts": attempts,
                "elapsed": round(spent, 3),
            }
        sleep(params["delay"])


def finish(module: t.Any, target: str, result: dict[str, t.Any]) -> None:
    """End the module with the result; a failure's message names the target and what is wrong with it."""
    wrong = [check["message"] or check["name"] for check in result["checks"] if check["status"] != "ok"]
    message = f"{target} is {result['status']}: {'; '.join(wrong)}" if wrong else f"{target} is ok"
    if fails(result["status"], module.params["fail_on"]):
        module.fail_json(msg=message, changed=False, **result)
    module.exit_json(msg=message, changed=False, **result)
