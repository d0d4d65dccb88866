# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of the module that asks an app: over HTTP, a WebSocket and server-sent events."""

from __future__ import annotations

import json
import time

import pytest
from ansible_collections.asgi.production.plugins.module_utils import _asgi_health
from ansible_collections.asgi.production.plugins.modules import asgi_health


def app(**pages):
    """An app whose pages are functions; the readiness is always there."""

    def answer(handler) -> None:
        name = handler.path.strip("/") or "ready"
        if name == "ready":
            handler.reply(200, json.dumps({"version": "v1"}).encode(), Connection="close")
        else:
            pages[name](handler)
        handler.close_connection = True

    return answer


def opens(handler) -> None:
    accept = _asgi_health.accept_of(handler.headers["Sec-WebSocket-Key"])
    handler.send_response(101)
    handler.send_header("Sec-WebSocket-Accept", accept)
    handler.end_headers()


def lies(handler) -> None:
    handler.send_response(101)
    handler.end_headers()


def events(*lines: bytes, kind: str = "text/event-stream", wait: float = 0):
    def send(handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", kind)
        handler.send_header("Connection", "close")
        handler.end_headers()
        for line in lines:
            handler.wfile.write(line)
            time.sleep(wait)

    return send


@pytest.fixture
def ask(serve, run_module):
    def run(answer, **arguments: object) -> dict:
        url = f"http://127.0.0.1:{serve(answer).port}/"
        return run_module(asgi_health, {"url": url, "timeout": 2, **arguments})

    return run


def test_all_is_well(ask):
    pages = app(ws=opens, events=events(b": hello\n", b"event: tick\n", b"data: 1\n\n"))
    said = ask(pages, websocket_path="/ws", events_path="/events", version="v1")
    assert said["healthy"], said["msg"]
    assert [check["name"] for check in said["checks"]] == ["status", "seconds", "version", "websocket", "first_event"]


@pytest.mark.parametrize(
    ("pages", "words"),
    [
        ({"ws": lambda handler: handler.reply(403)}, "no WebSocket opens at /ws: it answers 403"),
        ({"ws": lies}, "no WebSocket opens at /ws: the answer is not one to this request"),
        ({"ws": lambda handler: None}, "/ws: it closed the connection before its answer was whole"),
        (
            {"ws": lambda handler: handler.wfile.write(b"220 x\r\n")},
            "/ws: what answers there does not speak HTTP (220 x)",
        ),
        ({"events": lambda handler: handler.reply(404)}, "/events sends no events: it answers 404 with nothing"),
        ({"events": events(kind="text/html")}, "/events sends no events: it answers 200 with text/html"),
        ({"events": events(b": nothing\n")}, "/events ends without an event"),
        ({"events": lambda handler: time.sleep(3)}, "/events: it does not answer within"),
        ({"events": events(*[b": keep-alive\n"] * 60, wait=0.05)}, "/events: it does not answer within"),
    ],
)
def test_what_is_wrong_is_named_by_its_path(ask, pages: dict, words: str):
    said = ask(app(**pages), **{f"{'websocket' if name == 'ws' else name}_path": f"/{name}" for name in pages})
    assert f" fails: {words}" in said["msg"]
    assert said["elapsed"] < 2.5


def test_another_version_and_a_late_event(ask):
    said = ask(app(), version="v2")
    assert said["msg"].endswith(" fails: it is version v1 instead of v2")
    said = ask(app(events=events(b"data: 1\n")), events_path="/events", first_event_degraded=0)
    assert (said["status"], "is it buffered on its way?" in said["msg"]) == ("degraded", True)


def test_who_is_not_there_is_asked_once(run_module):
    said = run_module(asgi_health, {"url": "http://127.0.0.1:1/", "websocket_path": "/ws", "events_path": "/events"})
    assert [check["message"] for check in said["checks"]] == ["nothing listens there"]
    assert run_module(asgi_health, {"url": "shop"})["msg"].startswith("url is 'shop': give a whole one")


def test_it_endures(endures, hostile: int):
    endures_url = {"url": f"http://127.0.0.1:{hostile}/"}
    endures(asgi_health, endures_url)
