# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of the module that asks a URL, against real servers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.asgi.production.plugins.module_utils import _http
from ansible_collections.asgi.production.plugins.modules import http_health

READY = {"status": "ok", "checks": {"redis": {"ok": True}, "database": {"ok": False}}}


def answer_with(data: object, status: int = 200):
    return lambda handler: handler.reply(status, json.dumps(data).encode())


def test_a_right_answer_is_healthy_and_its_json_is_returned(serve, run_module):
    url = f"http://127.0.0.1:{serve(answer_with(READY)).port}/health"
    said = run_module(http_health, {"url": url, "json_equals": {"checks.redis.ok": True}})
    assert (said["healthy"], said["status"], said["changed"], said["msg"]) == (True, "ok", False, f"{url} is ok")
    assert said["json"] == READY
    assert [check["name"] for check in said["checks"]] == ["status", "seconds", "json checks.redis.ok"]


def test_json_that_differs_is_named_with_what_it_should_be(serve, run_module):
    url = f"http://127.0.0.1:{serve(answer_with(READY)).port}/"
    wanted = {"checks.database.ok": True, "status.word": "x", "checks.none": 1}
    said = run_module(http_health, {"url": url, "json_equals": wanted})
    assert said["failed"]
    assert said["msg"] == (
        f"{url} is failed: checks.database.ok is False instead of True; status.word is None instead of 'x'; "
        "checks.none is None instead of 1"
    )


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b"\xff\xfe"])
def test_a_body_that_is_no_json_object_is_none(serve, run_module, body: bytes):
    url = f"http://127.0.0.1:{serve(lambda handler: handler.reply(200, body)).port}/"
    said = run_module(http_health, {"url": url})
    assert said["healthy"]
    assert "json" not in said


def test_a_wrong_status_is_told_with_the_words_of_the_answer(serve, run_module):
    url = f"http://127.0.0.1:{serve(lambda handler: handler.reply(503, b'the database is away')).port}/"
    said = run_module(http_health, {"url": url, "fail_on": "never"})
    assert not said.get("failed")
    assert said["msg"] == f"{url} is failed: it answers 503: the database is away"
    assert run_module(http_health, {"url": url, "status_code": [200, 503]})["healthy"]


def test_it_asks_again(serve, run_module):
    statuses = iter([500, 500, 200])
    server = serve(lambda handler: handler.reply(next(statuses)))
    said = run_module(http_health, {"url": f"http://127.0.0.1:{server.port}/", "retries": 5, "delay": 0.01})
    assert (said["status"], said["attempts"]) == ("ok", 3)


def test_a_slow_answer_is_degraded():
    checks = http_health.judge(
        _http.Answer(200, {}, b""),
        6,
        {
            "url": "https://shop.test/",
            "status_code": [200],
            "slow_seconds": 5,
            "json_equals": {},
        },
    )
    assert [(check.status, check.message) for check in checks] == [
        ("ok", ""),
        ("degraded", "https://shop.test/ took 6.00 s"),
    ]


def test_what_does_not_answer_is_told_with_its_reason(run_module, tmp_path: Path):
    said = run_module(http_health, {"url": "http://shop.test/", "unix_socket": str(tmp_path / "app.sock")})
    assert said["failed"]
    assert said["msg"].startswith("http://shop.test/ is failed: it can't be reached ([Errno 2] No such file")


def test_an_error_without_words_is_named_by_its_kind(run_module, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_args: object) -> None:
        raise TimeoutError

    monkeypatch.setattr(_http, "get", refuse)
    said = run_module(http_health, {"url": "http://shop.test/"})
    assert said["msg"] == "http://shop.test/ is failed: it can't be reached (TimeoutError)"


def test_where_to_connect_and_whether_to_trust_are_passed_on(serve, certificate: Path, run_module):
    server = serve(certificate=certificate)
    there = {"url": "https://shop.test/", "address": "127.0.0.1", "port": server.port}
    assert "CERTIFICATE_VERIFY_FAILED" in run_module(http_health, there)["msg"]
    assert run_module(http_health, dict(there, validate_certs=False))["healthy"]


@pytest.mark.parametrize("url", ["", "shop.test/health", "ftp://shop.test/", "http:///health"])
def test_half_a_url_is_refused(run_module, url: str):
    said = run_module(http_health, {"url": url})
    assert said["msg"] == f"url is {url!r}: give a whole one, such as https://shop.example.com/health/ready."


def test_a_url_with_an_impossible_port_is_a_sentence_not_a_traceback(run_module):
    assert "it can't be reached (" in run_module(http_health, {"url": "http://shop.test:99999/"})["msg"]
