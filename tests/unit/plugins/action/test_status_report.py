# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of what shows the answers of health modules together."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible.errors import AnsibleError
from ansible_collections.asgi.production.plugins.action import status_report
from ansible_collections.asgi.production.plugins.plugin_utils import _status

EVIL = "<script>alert('é')</script>"
GOOD = {"status": "ok", "msg": "fine", "checks": [{"name": "a", "status": "ok", "value": EVIL}], "elapsed": 0.1}
RESULTS = {
    "db1": {
        "status_host": GOOD,
        "status_redis": {"skipped": True},
        "status_postgres": {**GOOD, "status": "failed", "msg": f"PostgreSQL on db1 fails:\n{EVIL}"},
    },
    "db2": {"status_host": {"unreachable": True, "msg": "no route"}, "status_postgres": GOOD},
    "web1": {"status_host": {"failed": True, "msg": "no Python"}, "status_redis": {**GOOD, "status": "degraded"}},
}


def rows(names: str = "db1 db2 web1") -> list[_status.Row]:
    return _status.rows(names.split(), ["host", "postgres", "redis"], lambda h, p: RESULTS[h].get(f"status_{p}"))


def test_one_row_for_each_part_that_was_asked():
    assert [(row.host, row.part, row.status, row.message) for row in rows()] == [
        ("db1", "host", "ok", ""),
        ("db1", "postgres", "failed", f"PostgreSQL on db1 fails: {EVIL}"),
        ("db2", "host", "failed", "it can't be reached: no route"),
        ("web1", "host", "failed", "it could not be asked: no Python"),
        ("web1", "redis", "degraded", "fine"),
    ]
    assert _status.summary(rows()) == "5 parts on 3 hosts: 1 ok, 1 degraded, 3 failed"
    assert (_status.worst(rows()), _status.worst([]), _status.table([])) == ("failed", "failed", [])
    assert _status.table(rows("web1"))[1] == ("degraded", "web1  redis  degraded  fine")


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags, self.links = [], []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in ("src", "href")]


def test_a_page_needs_no_network_and_obeys_nobody():
    page = Page(_status.page(rows(), EVIL, "now"))
    assert page.links == []
    assert "script" not in page.tags
    assert (page.tags.count("section"), page.tags.count("details")) == (3, 5)


@pytest.fixture
def run(capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch):
    shown = []
    monkeypatch.setattr(status_report.display, "display", lambda text, color=None: shown.append(text))

    def act(names: str = "db1 db2 web1", **arguments: object) -> tuple[dict, list]:
        task = SimpleNamespace(args={"parts": ["host", "postgres", "redis"], **arguments}, async_val=0, check_mode=True)
        task.environment = None
        connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir=None))
        plugin = status_report.ActionModule(task, connection, None, None, None, None)
        shown.clear()
        return plugin.run(None, {"ansible_play_hosts_all": names.split(), "hostvars": RESULTS}), shown

    return act


def test_a_table_is_shown_and_the_worst_decides(run):
    said, shown = run()
    assert (said["failed"], said["status"], len(shown)) == (True, "failed", 5)
    assert run(fail_on="never")[0]["failed"] is False


def test_json_and_html_are_printed_or_written(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    _said, shown = run(format="json")
    assert json.loads(shown[0])["parts"][1]["message"] == f"PostgreSQL on db1 fails: {EVIL}"
    monkeypatch.chdir(tmp_path)
    run(format="html")
    assert (tmp_path / "status.html").read_text().startswith("<!doctype html>")
    with pytest.raises(AnsibleError, match="status_file is '/nowhere/x': it can't be written"):
        run(format="json", file="/nowhere/x")
