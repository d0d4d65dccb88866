# Copyright: asgi.production contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What asgi.production.asgi_health asks, and what it makes of the answers. Private to this collection."""

from __future__ import annotations

import base64
import hashlib
import http.client
import os
import time
import typing as t
import urllib.parse

from ansible_collections.asgi.production.plugins.module_utils import _http, _wire, health
from ansible_collections.asgi.production.plugins.module_utils.health import Check

LIMITS = health.limits(seconds=(5, -1), first_event=(5, -1))
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455


def accept_of(key: str) -> str:
    """What a server that has understood answers to a WebSocket's key."""
    return base64.b64encode(hashlib.sha1(key.encode() + GUID, usedforsecurity=False).digest()).decode()


def dial(params: dict, path: str, seconds: float) -> tuple[_wire.Wire, str]:
    url = urllib.parse.urljoin(params["url"], path)
    there = [params[name] for name in ("address", "port", "unix_socket")]
    return _http.dial(url, *there, seconds, params["validate_certs"], params["ca_path"]), url


def ready(params: dict, seconds: float) -> list[Check]:
    """The readiness, its time, and which version it is."""
    start = time.monotonic()
    there = [params[name] for name in ("url", "address", "port", "unix_socket")]
    answer = _http.get(*there, seconds, params["validate_certs"], params["ca_path"])
    judged = {"status_code": [200], "headers_contain": {}, "text": [], "json_equals": {}}
    checks = _http.judge(answer, time.monotonic() - start, {**params, **judged})
    if params["version"]:
        value = _http.look_up(_http.as_object(answer.body), params["version_key"])
        words = f"it is version {health.words(str(value))} instead of {params['version']}"
        checks.append(health.expected("version", value == params["version"], value, params["version"], words))
    return checks


def websocket(params: dict, seconds: float) -> list[Check]:
    """Open a WebSocket and close it again."""
    path, key = params["websocket_path"], base64.b64encode(os.urandom(16)).decode()
    parts = urllib.parse.urlsplit(params["url"])
    headers = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": key}
    headers["Origin"] = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    wire, url = dial(params, path, seconds)
    with wire:
        answer = _http.send(wire, url, headers)
        words = f"no WebSocket opens at {path}: it answers {answer.status}"
        good = answer.status == 101
        if good and _http.lowered(answer).get("sec-websocket-accept") != accept_of(key):
            good, words = False, f"no WebSocket opens at {path}: the answer is not one to this request"
        if good:
            wire.sendall(b"\x88\x80\0\0\0\0")  # an empty close, masked with zeros
        return [health.expected("websocket", good, answer.status, 101, words)]


def events(params: dict, seconds: float) -> list[Check]:
    """Wait for the first server-sent event."""
    path, start = params["events_path"], time.monotonic()
    wire, url = dial(params, path, seconds)
    with wire:
        answer = _http.send(wire, url, {"Accept": "text/event-stream"})
        kind = _http.lowered(answer).get("content-type", "")
        if answer.status != 200 or not kind.lower().startswith("text/event-stream"):
            words = f"{path} sends no events: it answers {answer.status} with {health.words(kind) or 'nothing'}"
            return [Check("events", "failed", answer.status, "", 200, words)]
        while True:
            line = answer.readline(8192)
            if not line:
                return [Check("events", "failed", False, "", True, f"{path} ends without an event")]
            if line.startswith(b"data:"):
                break
    taken = time.monotonic() - start
    words = f"the first event at {path} came after {taken:.2f} s: is it buffered on its way?"
    return [health.measured("first_event", round(taken, 3), params, words, "s")]


def attempt(name: str, ask: t.Callable[[], list[Check]], seconds: float) -> list[Check]:
    """One question; that it has no answer must not hide the answers to the others."""
    try:
        return ask()
    except OSError as error:
        return [Check(name, "failed", message=health.reason(error, round(seconds, 1)))]
    except http.client.HTTPException as error:
        return [Check(name, "failed", message=str(_http.no_http(error)))]


def probe(params: dict, seconds: float) -> list[Check]:
    end = time.monotonic() + seconds
    checks = attempt("answer", lambda: ready(params, seconds), seconds)
    if checks[0].name == "answer":  # nobody is there to ask more
        return checks
    for name, ask in (("websocket", websocket), ("events", events)):
        if params[f"{name}_path"]:
            rest = max(0.1, end - time.monotonic())
            more = attempt(name, lambda ask=ask, rest=rest: ask(params, rest), rest)
            path = params[f"{name}_path"]
            checks += [
                c._replace(message=f"{path}: {c.message}") if path not in c.message and c.message else c for c in more
            ]
    return checks
