# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of the module app_releases: a table for a terminal."""

from __future__ import annotations

import pytest
from ansible_collections.asgi.production.plugins.modules import app_releases

ROW = {"id": "r1", "version": "v1.4", "revision": "a" * 40, "by": "ann", "activated": "2026-11-24", "state": "serves"}


def test_releases_are_listed_below_their_titles(monkeypatch: pytest.MonkeyPatch, run_module):
    monkeypatch.setattr(app_releases.Releases, "table", lambda _self: [ROW])
    said = run_module(app_releases, {"name": "shop"})
    assert (said["changed"], said["releases"]) == (False, [ROW])
    assert said["lines"] == [
        "release  version  commit              by   when        state",
        f"r1       v1.4     {'a' * 18}  ann  2026-11-24  serves",
    ]


def test_a_wrong_name_is_refused(run_module):
    assert run_module(app_releases, {"name": "../x"})["msg"].startswith("name is '../x'")
