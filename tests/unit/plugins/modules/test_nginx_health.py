# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of the module that looks at nginx. Its processes are files here; tests/health looks at a real one."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from ansible_collections.asgi.production.plugins.module_utils import _nginx_health as nginx
from ansible_collections.asgi.production.plugins.module_utils import health
from ansible_collections.asgi.production.plugins.modules import nginx_health

PARAMS = {name: option.get("default") for name, option in nginx_health.ARGUMENTS.items()}
FIGURES = "Active connections: 9\nserver accepts handled requests\n 30 {handled} 90\nReading: 0 Writing: 1 Waiting: 0\n"


def wrong(checks: list) -> list[str]:
    return [f"{check.status}: {check.message}" for check in checks if check.status != "ok"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for number, parent, title in ((10, 1, "nginx: master process"), (11, 10, "nginx: worker process"), (12, 1, "sh")):
        (tmp_path / f"proc/{number}").mkdir(parents=True)
        (tmp_path / f"proc/{number}/status").write_text(f"Name:\tx\nPPid:\t{parent}\n")
        (tmp_path / f"proc/{number}/cmdline").write_text(f"{title}\0")
    (tmp_path / "proc/net").mkdir()
    (tmp_path / "pid").write_text("10\n")
    return tmp_path


def test_processes(root: Path):
    assert wrong(nginx.workers("/pid", str(root))) == []
    (root / "proc/11/cmdline").write_text("nginx: worker process is shutting down")
    assert wrong(nginx.workers("/pid", str(root))) == ["failed: it has no worker that takes connections"]
    (root / "pid").write_text("99")
    assert wrong(nginx.workers("/pid", str(root))) == ["failed: it does not run: no process is named in /pid"]


@pytest.mark.parametrize(
    ("code", "said", "words"),
    [
        (0, "", []),
        (
            1,
            "nginx: [warn] a\nnginx: [emerg] unknown directive in /etc/nginx/a.conf:3\n",
            "[emerg] unknown directive in",
        ),
        (1, "", "exit code 1"),
    ],
)
def test_the_configuration(monkeypatch: pytest.MonkeyPatch, code: int, said: str, words: str):
    monkeypatch.setattr(health, "command", lambda argv, _left: subprocess.CompletedProcess(argv, code, "", said))
    check = nginx.configuration(5)
    assert check.status == ("failed" if code else "ok")
    assert not code or f"so the next start or reload fails: {words}" in check.message


def test_ports_and_apps(run_module, talk, tmp_path: Path):
    port = talk(lambda client: None)
    talk(lambda client: None, unix=str(tmp_path / "app.sock"))
    wanted = {"configuration": False, "ports": [port], "user": ""}
    wanted["upstreams"] = [f"unix:{tmp_path}/app.sock", f"127.0.0.1:{port}", "127.0.0.1:1", f"unix:{tmp_path}/none"]
    said = run_module(nginx_health, {**wanted, "pid_file": "/nowhere", "fail_on": "never"}, check_mode=True)
    assert [check["message"] for check in said["checks"] if check["message"]] == [
        "it does not run: no process is named in /nowhere",
        "the app at 127.0.0.1:1 can't be reached by : nothing listens there",
        f"the app at unix:{tmp_path}/none can't be reached by : its socket is not there",
    ]


@pytest.mark.parametrize("name", ["shop", "unix:", "shop:x", "a b:", "http://shop:80"])
def test_an_upstream_that_is_none(run_module, name: str):
    assert (
        run_module(nginx_health, {"upstreams": [name]})["msg"]
        == f"upstreams has {name!r}: write unix:/path or host:port."
    )


def test_figures(serve, monkeypatch: pytest.MonkeyPatch):
    server = serve(lambda handler: handler.reply(200, FIGURES.format(handled=28).encode()))
    monkeypatch.setattr(nginx.os, "cpu_count", lambda: 2)
    monkeypatch.setattr(nginx, "workers", lambda _file: [])
    url = f"http://127.0.0.1:{server.port}/"
    params = {**PARAMS, "configuration": False, "status_url": url, "worker_connections": 5}
    assert wrong(nginx.probe(params, 5)) == [
        "degraded: 2 connections were dropped since its start: raise worker_connections",
        "degraded: 9 of 10 connections are open",
    ]
    assert len(nginx.probe({**params, "worker_connections": 0}, 5)) == 3
    server.answer = lambda handler: handler.reply(404)
    assert wrong(nginx.probe(params, 5)) == [f"failed: {url} does not give the figures of stub_status"]
    server.answer = lambda handler: handler.wfile.write(b"220 x\r\n")
    with pytest.raises(health.Trouble, match="does not speak HTTP"):
        nginx.probe(params, 5)
    monkeypatch.setattr(nginx, "configuration", lambda _left: health.Check("configuration", "ok"))
    assert nginx.probe({**PARAMS}, 5) == [health.Check("configuration", "ok")]
