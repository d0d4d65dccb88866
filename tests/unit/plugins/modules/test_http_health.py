# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of the module that asks a URL, against real servers."""

from __future__ import annotations

import http.client
import json
import time
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
        f"{url} fails: checks.database.ok is False instead of True; status.word is None instead of 'x'; "
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
    assert said["msg"] == f"{url} fails: it answers 503: the database is away"
    assert run_module(http_health, {"url": url, "status_code": [200, 503]})["healthy"]


def test_it_asks_again(serve, run_module):
    statuses = iter([500, 500, 200])
    server = serve(lambda handler: handler.reply(next(statuses)))
    said = run_module(http_health, {"url": f"http://127.0.0.1:{server.port}/", "retries": 5, "delay": 0.01})
    assert (said["status"], said["attempts"]) == ("ok", 3)


def test_a_slow_answer_is_degraded():
    params = {name: option.get("default") for name, option in http_health.ARGUMENTS.items()}
    checks = _http.judge(_http.Answer(200, {}, b""), 6, params)
    assert [(check.status, check.message) for check in checks] == [("ok", ""), ("degraded", "its answer took 6.00 s")]


def test_headers_and_text_must_be_there(serve, run_module):
    url = f"http://127.0.0.1:{serve(lambda handler: handler.reply(200, b'the shop', X_Word='here')).port}/"
    good = {"url": url, "headers_contain": {"x-Word": "her"}, "text": ["shop"]}
    assert run_module(http_health, good)["healthy"]
    said = run_module(http_health, dict(good, headers_contain={"X-Word": "no", "X-None": "a"}, text=["shop", "cart"]))
    assert said["msg"] == (
        f"{url} fails: the header X-Word is 'here', without 'no'; the header X-None is missing; "
        "its answer does not contain 'cart'"
    )


def test_what_does_not_answer_is_told_with_its_reason(run_module, tmp_path: Path):
    said = run_module(http_health, {"url": "http://shop.test/", "unix_socket": str(tmp_path / "app.sock")})
    assert said["failed"]
    assert said["msg"] == "http://shop.test/ fails: its socket is not there"


def test_silence_is_told_with_the_time_that_was_given(serve, run_module):
    server = serve(lambda handler: time.sleep(0.5))
    said = run_module(http_health, {"url": f"http://127.0.0.1:{server.port}/", "timeout": 0.2})
    assert said["msg"].endswith("fails: it does not answer within 0.2 s")


def test_what_is_no_http_is_told(serve, run_module):
    server = serve(lambda handler: handler.wfile.write(b"220 mail.test ESMTP\r\n"))
    said = run_module(http_health, {"url": f"http://127.0.0.1:{server.port}/"})
    assert "what answers there does not speak HTTP (220 mail.test ESMTP)" in said["msg"]


def test_a_redirect_is_followed_when_it_may_be(serve, run_module):
    def answer(handler) -> None:
        if handler.path == "/there":
            handler.reply(200, b"here")
        else:
            handler.reply(302, Location="/there")

    server = serve(answer)
    wanted = {"url": "http://shop.test/", "address": "127.0.0.1", "port": server.port, "redirects": 1}
    wanted["request_headers"] = {"Authorization": "Bearer canary"}
    said = run_module(http_health, wanted)
    assert said["healthy"]
    assert "canary" not in str(said)
    assert [headers["Authorization"] for _path, headers in server.asked] == ["Bearer canary"] * 2
    said = run_module(http_health, dict(wanted, redirects=0))
    assert said["msg"] == "http://shop.test/ fails: it answers 302"


def test_no_secret_goes_to_another_host_or_scheme(serve, monkeypatch: pytest.MonkeyPatch):
    asked = []

    def get(url: str, *there: object) -> _http.Answer:
        asked.append((url, there[0], there[1], there[-1]))
        return _http.Answer(302, {"location": next(places)}, b"")

    places = iter(["http://shop.test/a", "http://other.test/", "ftp://other.test/"])
    monkeypatch.setattr(_http, "get", get)
    with pytest.raises(http.client.InvalidURL, match="it redirects to ftp"):
        _http.follow(3, "https://shop.test/", "10.0.0.1", 443, "", 5, True, "", {"token": "canary"})
    assert asked == [
        ("https://shop.test/", "10.0.0.1", 443, {"token": "canary"}),
        ("http://shop.test/a", "10.0.0.1", 0, {}),
        ("http://other.test/", "", 0, {}),
    ]


def test_where_to_connect_and_whether_to_trust_are_passed_on(serve, certificate: Path, run_module):
    server = serve(certificate=certificate)
    there = {"url": "https://shop.test/", "address": "127.0.0.1", "port": server.port}
    assert "its certificate is not valid: self-signed" in run_module(http_health, there)["msg"]
    assert run_module(http_health, dict(there, validate_certs=False))["healthy"]


@pytest.mark.parametrize("url", ["", "shop.test/health", "ftp://shop.test/", "http:///health"])
def test_half_a_url_is_refused(run_module, url: str):
    said = run_module(http_health, {"url": url})
    assert said["msg"] == f"url is {url!r}: give a whole one, such as https://shop.example.com/health/ready."


def test_a_url_with_an_impossible_port_is_a_sentence_not_a_traceback(run_module):
    assert "it can't be asked: " in run_module(http_health, {"url": "http://shop.test:99999/"})["msg"]
