# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import typing as t
from types import SimpleNamespace

import pytest
from ansible_collections.asgi.production.plugins.action import converge as action
from ansible_collections.asgi.production.plugins.modules import converge, converge_host


def test_what_is_documented_is_what_the_plugin_takes() -> None:
    import yaml

    def compare(documented: dict, spec: dict) -> None:
        assert set(documented) == set(spec)
        for name, option in spec.items():
            there = documented[name]
            for key in ("type", "elements", "choices", "default", "required"):
                assert there.get(key) == option.get(key), (name, key)
            compare(there.get("suboptions", {}), option.get("options", {}))

    compare(yaml.safe_load(converge.DOCUMENTATION)["options"], action.ARGUMENTS)


@pytest.mark.parametrize("check_mode", [False, True])
def test_a_step_reports(run_module: t.Callable[..., dict], monkeypatch: pytest.MonkeyPatch, check_mode: bool) -> None:
    def work(plan: dict, check_mode: bool) -> SimpleNamespace:
        return SimpleNamespace(probe=lambda: {"plan": plan["id"], "check": check_mode})

    monkeypatch.setattr(converge_host, "Converge", work)
    said = run_module(converge_host, {"id": "shop", "step": "probe", "plan": '{"id": "shop"}'}, check_mode=check_mode)
    assert said["report"] == {"plan": "shop", "check": check_mode}
    assert said["changed"] is False
    assert "shop" not in json.dumps(said["invocation"]["module_args"]["plan"])


@pytest.mark.parametrize(
    ("error", "traced"),
    [
        (converge_host.RefusedError("a sentence"), False),
        (RuntimeError("a sentence"), True),
        (OSError(28, "a sentence"), True),
    ],
)
def test_only_what_a_person_did_not_cause_has_a_trace(
    run_module: t.Callable[..., dict], monkeypatch: pytest.MonkeyPatch, error: Exception, traced: bool
) -> None:
    def work(plan: dict, check_mode: bool) -> t.NoReturn:
        raise error

    monkeypatch.setattr(converge_host, "Converge", work)
    said = run_module(converge_host, {"id": "shop", "step": "apply", "plan": "{}"})
    assert "a sentence" in said["msg"]
    assert bool(said["trace"]) is traced
