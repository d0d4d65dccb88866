# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of the module that asks systemd. What systemctl says is played here; tests/health asks a real one."""

from __future__ import annotations

import subprocess
import typing as t

import pytest
from ansible_collections.asgi.production.plugins.module_utils import _systemd_health as systemd
from ansible_collections.asgi.production.plugins.module_utils import health
from ansible_collections.asgi.production.plugins.modules import systemd_health

UNIT = {
    "Id": "nginx.service",
    "Names": "nginx.service web.service",
    "LoadState": "loaded",
    "ActiveState": "active",
    "SubState": "running",
    "Result": "success",
    "ExecMainStatus": "0",
    "NRestarts": "0",
}


def judged(unit: dict, wanted: str = "nginx", failed: t.Sequence[str] = (), state: str = "running", **more: object):
    params = {name: option.get("default") for name, option in systemd_health.ARGUMENTS.items()}
    checks = systemd.judge([{**UNIT, **unit}], list(failed), state, {**params, "units": [wanted], **more})
    return [f"{check.status}: {check.message}" for check in checks if check.status != "ok"]


@pytest.mark.parametrize(
    ("unit", "words"),
    [
        ({}, None),
        ({"NRestarts": "[not set]"}, None),
        ({"ActiveState": "inactive", "SubState": "dead"}, "failed: nginx.service is stopped"),
        ({"ActiveState": "inactive", "LoadState": "masked"}, "failed: nginx.service is masked"),
        (
            {"ActiveState": "failed", "Result": "exit-code", "ExecMainStatus": "203"},
            "failed: nginx.service has failed (exit-code, exit status 203): see journalctl -u nginx.service",
        ),
        ({"ActiveState": "activating", "SubState": "start"}, "degraded: nginx.service is activating"),
        (
            {"NRestarts": "7"},
            "degraded: nginx.service was restarted 7 times by systemd: see journalctl -u nginx.service",
        ),
        ({"LoadState": "not-found"}, "failed: there is no unit nginx.service, or none is running"),
        (
            {"Id": "other.service", "Names": "other.service"},
            "failed: there is no unit nginx.service, or none is running",
        ),
    ],
)
def test_a_unit_is_judged_in_words(unit: dict, words: t.Optional[str]):
    found = judged(unit)
    assert found == ([words] if words else [])


def test_a_unit_that_ends_again_and_again():
    found = judged({"ActiveState": "activating", "SubState": "auto-restart", "NRestarts": "2", "Result": "exit-code"})
    assert found == [
        "failed: nginx.service ends again and again (2 restarts, exit-code, exit status 0): "
        "see journalctl -u nginx.service"
    ]


def test_names_patterns_and_aliases():
    assert judged({"Id": "shop@a.service"}, "shop@*") == []
    assert judged({}, "web.service") == []
    assert judged({"Id": "ssh.socket"}, "ssh.socket") == []
    params = {"units": ["nginx", "web"], "ignore": [], "restarts_degraded": 3, "restarts_failed": -1}
    assert len(systemd.judge([UNIT], [], "running", params)) == 4


def test_other_units_that_have_failed():
    assert judged({}, failed=["a.service"]) == ["degraded: a.service has failed: see systemctl --failed"]
    found = judged({}, failed=["a.service", "b.timer", "nginx.service"])
    assert found == ["degraded: a.service, b.timer have failed: see systemctl --failed"]
    assert judged({}, failed=["a.service", "b.timer"], ignore=["a", "b.*"]) == [
        "degraded: b.timer has failed: see systemctl --failed"
    ]


def test_the_system_itself():
    assert judged({}, state="starting") == ["degraded: the system has not finished its start"]
    assert judged({}, state="maintenance") == ["failed: the system is maintenance"]


def test_the_module_asks_systemctl(run_module, monkeypatch: pytest.MonkeyPatch):
    asked = []

    def command(argv: list[str], seconds: float) -> subprocess.CompletedProcess[str]:
        asked.append(argv[2:])
        said = {
            "is-system-running": "running\n",
            "show": "\n".join(f"{key}={value}" for key, value in UNIT.items()) + "\n\nno unit\n",
            "list-units": "a.service loaded failed failed A\n\n",
        }
        return subprocess.CompletedProcess(argv, 0, said[argv[2]], "")

    monkeypatch.setattr(health, "command", command)
    said = run_module(systemd_health, {"units": ["nginx"], "fail_on": "never"}, check_mode=True)
    assert said["status"] == "degraded"
    assert asked[1][-2:] == ["--", "nginx.service"]
    assert run_module(systemd_health, {"ignore": ["a"]})["healthy"]
    assert [words[0] for words in asked[3:]] == ["is-system-running", "list-units"]


@pytest.mark.parametrize("said", ["", "offline", "unknown"])
def test_a_host_without_systemd(run_module, monkeypatch: pytest.MonkeyPatch, said: str):
    monkeypatch.setattr(health, "command", lambda argv, seconds: subprocess.CompletedProcess(argv, 1, said, ""))
    assert run_module(systemd_health, {})["msg"].endswith("fails: systemd does not answer on this host")


def test_programs_that_are_missing_or_hang():
    with pytest.raises(health.Trouble, match="this host has no no-such-program"):
        health.command(["no-such-program"], 1)
    with pytest.raises(health.Trouble, match=r"sleep does not end within 0\.1 s"):
        health.command(["sleep", "5"], 0)
    assert health.command(["sh", "-c", "echo $LC_ALL"], 5).stdout == "C\n"
