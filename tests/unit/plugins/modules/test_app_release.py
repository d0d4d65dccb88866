# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of the module app_release: what it hands to the releases, and how it ends."""

from __future__ import annotations

import json

import pytest
import yaml
from ansible_collections.asgi.production.plugins.modules import app_release

WANTED = {"step": "build", "name": "shop", "source": "https://x/shop.git", "uv_version": "0.9.1"}


def outcome(answer: object) -> object:
    if isinstance(answer, Exception):
        raise answer
    return answer


@pytest.fixture
def releases(monkeypatch: pytest.MonkeyPatch) -> list:
    """Return what the releases were asked; its first item is what they answer or raise."""
    asked: list = [{"changed": True, "release": "r1"}]

    class Releases:
        def __init__(self, settings: dict) -> None:
            asked.append(settings)

        def perform(self, *step: object) -> dict:
            asked.append(step)
            return outcome(asked[0])

    monkeypatch.setattr(app_release, "Releases", Releases)
    return asked


def test_a_step_is_done_with_the_modules_options(releases, run_module):
    said = run_module(app_release, dict(WANTED, step="activate", release="r1", keep="4"))
    assert (said["changed"], said["release"]) == (True, "r1")
    settings, step = releases[1:]
    assert (settings["name"], settings["keep"], settings["migrate_timeout"]) == ("shop", 4, 600)
    assert step == ("activate", "r1", False)


def test_check_mode_is_passed_on(releases, run_module):
    run_module(app_release, WANTED, check_mode=True)
    assert releases[2] == ("build", "", True)


def test_what_a_person_must_put_right_is_a_sentence_without_a_trace(releases, run_module):
    releases[0] = app_release.ReleaseError("app_version is 'v9': name another one.")
    said = run_module(app_release, WANTED)
    assert (said["msg"], said["trace"]) == ("app_version is 'v9': name another one.", "")


def test_a_surprise_of_the_host_is_told_with_its_trace(releases, run_module):
    releases[0] = OSError(28, "No space left on device", "/srv/shop")
    said = run_module(app_release, WANTED)
    assert said["msg"] == "[Errno 28] No space left on device: '/srv/shop'"
    assert "Traceback" in said["trace"]


def test_secrets_are_not_in_the_result(releases, run_module):
    secret = json.dumps({"KEY": "hush hush"})
    releases[0] = {"changed": True, "words": f"{secret} and user:word"}
    said = run_module(app_release, dict(WANTED, secrets=secret, credentials="user:word"))
    assert "hush" not in json.dumps(said)
    assert "user:word" not in json.dumps(said)


def test_a_wrong_name_is_refused_before_the_host_is_touched(run_module):
    assert run_module(app_release, dict(WANTED, name="../x"))["msg"].startswith("name is '../x': use up to 24")


@pytest.mark.parametrize("change", [{"step": "remove"}, {"keep": "many"}, {"unknown": 1}])
def test_options_are_checked(releases, run_module, change: dict):
    assert run_module(app_release, {**WANTED, **change})["failed"]
    assert len(releases) == 1


def test_the_documentation_tells_every_option_with_its_default():
    documented = yaml.safe_load(app_release.DOCUMENTATION)["options"]
    assert documented.keys() == app_release.ARGUMENTS.keys()
    for name, option in app_release.ARGUMENTS.items():
        assert documented[name].get("default") == option.get("default"), name
        assert documented[name]["type"] == option["type"], name
