# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from pathlib import Path

from ansible_collections.asgi.production.plugins.modules import footprint

NGINX = {
    "files": {
        "/etc/nginx/nginx.conf": {"kind": "file", "made": False, "saved": True},
        "/etc/nginx/link": {"kind": "link", "made": True, "saved": False},
        "/etc/nginx/asgi.d": {"kind": "directory", "made": True, "saved": False},
        "/etc/nginx": {"kind": "directory", "made": False, "saved": False},
        "/etc/nginx/deep": {"kind": "parent", "made": True, "saved": False},
        "/etc/nginx/sites-enabled/default": {"kind": "absent", "made": False, "saved": True},
    },
    "units": ["nginx.service"],
    "packages": ["nginx"],
    "pending": {"paths": ["/etc/nginx/nginx.conf"]},
}
EMPTY = {"files": {}, "units": [], "packages": ["git"], "pending": {}}


def test_each_thing_is_listed_with_the_call_that_put_it_there(tmp_path: Path, run_module, monkeypatch):
    (tmp_path / "app").mkdir()
    (tmp_path / "nginx.json").write_text(json.dumps(NGINX))
    (tmp_path / "app" / "shop.json").write_text(json.dumps(EMPTY))
    monkeypatch.setattr(footprint, "STATE", str(tmp_path))
    said = run_module(footprint, {})
    assert said["changed"] is False
    assert [call["id"] for call in said["footprint"]] == ["app/shop", "nginx"]
    assert said["lines"] == [
        "app/shop  package  git",
        "nginx     file     /etc/nginx/link",
        "nginx     file     /etc/nginx/nginx.conf",
        "nginx     folder   /etc/nginx/asgi.d",
        "nginx     folder   /etc/nginx/deep",
        "nginx     removed  /etc/nginx/sites-enabled/default",
        "nginx     unit     nginx.service",
        "nginx     package  nginx",
        "nginx     pending  the next run finishes it",
    ]


def test_a_host_without_manifests_has_nothing(tmp_path: Path):
    assert footprint.read(str(tmp_path / "none")) == [] and footprint.lines([]) == []
