# Copyright: asgi.production contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The app as its users reach it: through the edge."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import time
import uuid
from collections.abc import Callable

import httpx
import pytest
from websockets.asyncio.client import connect

from .conftest import Host, eventually, tls_context

FORGED = {
    "Forwarded": "for=6.6.6.6;proto=http;host=evil.example.org",
    "X-Forwarded-For": "6.6.6.6",
    "X-Forwarded-Host": "evil.example.org",
    "X-Forwarded-Port": "666",
    "X-Forwarded-Prefix": "/evil",
    "X-Forwarded-Proto": "http",
    "X-Real-IP": "6.6.6.6",
    "X-Script-Name": "/evil",
}


def own_address(host: Host) -> str:
    with host.connect(443) as connection:
        return connection.getsockname()[0]


def test_app_is_ready_with_each_store(client: httpx.Client) -> None:
    answer = client.get("/health/ready")
    checks = answer.json()["checks"]
    assert answer.status_code == 200
    assert {name: check["ok"] for name, check in checks.items()} == {"postgres": True, "redis": True, "memcached": True}


@pytest.mark.parametrize(
    "headers",
    [{}, FORGED, {name: f"{value}, 7.7.7.7" for name, value in FORGED.items()}],
    ids=["plain", "forged", "list"],
)
def test_app_sees_the_real_client_and_scheme(host: Host, each_client: httpx.Client, headers: dict[str, str]) -> None:
    seen = each_client.get("/whoami?a=b", headers=headers).json()
    assert seen["client"] == own_address(host)
    assert seen["scheme"] == "https"
    assert seen["host"] == host.domain
    assert seen["url"] == f"https://{host.domain}/whoami?a=b"


def test_links_lead_back(host: Host, each_client: httpx.Client) -> None:
    links = each_client.get("/links", headers=FORGED).json()
    assert links == {"product": f"https://{host.domain}/products/1", "websocket": f"wss://{host.domain}/ws"}


async def echo_times(host: Host, texts: list[str]) -> list[float]:
    """Milliseconds that each text took to come back."""
    times = []
    # Not the threaded client: it reads and writes one TLS socket at once, and now and then never sees the answer.
    async with connect(
        f"wss://{host.domain}/ws",
        host=host.address,
        port=443,
        ssl=tls_context(),
        server_hostname=host.domain,
        proxy=None,
    ) as websocket:
        for text in texts:
            begin = time.monotonic()
            await websocket.send(text)
            assert json.loads(await asyncio.wait_for(websocket.recv(), 10))["text"] == text
            times.append((time.monotonic() - begin) * 1000)
    return times


def test_websocket_echoes(host: Host, figure: Callable[[str], None]) -> None:
    times = asyncio.run(echo_times(host, ["one", "zwei ü", "x" * 50_000]))
    figure(f"WebSocket echoes: {', '.join(f'{value:.1f} ms' for value in times)}")


@pytest.mark.parametrize("accept", ["text/event-stream", "*/*"])
def test_events_arrive_one_by_one(each_client: httpx.Client, accept: str, figure: Callable[[str], None]) -> None:
    count, interval = 5, 0.3
    times = []
    begin = time.monotonic()
    with each_client.stream(
        "GET", "/events", params={"count": count, "interval": interval}, headers={"Accept": accept}
    ) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        for line in answer.iter_lines():
            if line.startswith("data:"):
                times.append(time.monotonic() - begin)
    first, last = times[0] * 1000, times[-1] * 1000
    figure(f"{answer.http_version}, Accept {accept}: first event after {first:.0f} ms, last after {last:.0f} ms")
    assert len(times) == count
    assert times[-1] - times[0] > 0.8 * interval * (count - 1)


def test_upload_arrives_whole(each_client: httpx.Client, figure: Callable[[str], None]) -> None:
    content = os.urandom(5 * 1024 * 1024)
    begin = time.monotonic()
    answer = each_client.post("/upload", files={"file": ("five.bin", content)})
    figure(f"{answer.http_version}: 5 MiB uploaded in {(time.monotonic() - begin) * 1000:.0f} ms")
    assert answer.status_code == 200
    assert answer.json() == {
        "filename": "five.bin",
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }


def test_too_large_an_upload_is_refused(host: Host) -> None:
    length = 26 * 1024 * 1024
    with host.tls(tls_context()) as connection:
        head = f"POST /upload HTTP/1.1\r\nHost: {host.domain}\r\nContent-Length: {length}\r\n\r\n"
        connection.sendall(head.encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("store", ["redis", "memcached"])
def test_cache_keeps_a_value(client: httpx.Client, store: str) -> None:
    path, value = f"/cache/{store}/{uuid.uuid4().hex}", os.urandom(1000)
    assert client.get(path).status_code == 404
    assert client.put(path, content=value).status_code == 204
    assert client.get(path).content == value


def test_products_live_in_the_database(client: httpx.Client) -> None:
    product = {"name": f"lamp {uuid.uuid4().hex}", "description": "bright", "price_cents": 1999}
    made = client.post("/products", json=product)
    assert made.status_code == 201
    path = f"/products/{made.json()['id']}"
    assert client.get(path).json() == {**made.json(), **product, "views": 1}
    assert client.get(path).json()["views"] == 2  # counted in Memcached
    assert client.get("/products").headers["x-cache"] == "miss"
    again = client.get("/products")
    assert again.headers["x-cache"] == "hit"
    assert made.json() in again.json()
    assert client.delete(path).status_code == 204
    assert client.get(path).status_code == 404


def test_one_request_id_in_both_logs(host: Host, client: httpx.Client, figure: Callable[[str], None]) -> None:
    mine, token = uuid.uuid4().hex, uuid.uuid4().hex
    answer = client.get(f"/whoami?token={token}", headers={"X-Request-ID": mine})
    id_ = answer.headers["x-request-id"]
    assert re.fullmatch("[0-9a-f]{32}", id_)
    assert id_ != mine  # or anybody could write into other people's traces
    assert answer.json()["request_id"] == id_

    begin = time.monotonic()
    edge = [json.loads(line) for line in eventually(lambda: [line for line in host.nginx_log() if id_ in line])]
    app = [json.loads(line) for line in eventually(lambda: [line for line in host.app_log() if id_ in line])]
    seconds = time.monotonic() - begin
    figure(f"request {id_}: {len(edge)} line of nginx, {len(app)} of the app, found in {seconds:.1f} s")
    (line,) = edge
    assert (line["status"], line["method"], line["uri"], line["http"]) == (200, "GET", "/whoami", "HTTP/1.1")
    assert line["client"] == own_address(host)
    assert line["tls"].startswith("TLSv1.")
    assert line["request_time"] >= 0  # a number, not a string
    assert float(line["upstream_response_time"]) >= 0
    (request,) = [line for line in app if line["message"] == "request"]
    assert (request["request_id"], request["path"], request["status"]) == (id_, "/whoami", 200)
    assert not [line for line in host.nginx_log() if token in line]  # query strings hold secrets
