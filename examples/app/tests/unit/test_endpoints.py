# SPDX-License-Identifier: GPL-3.0-or-later
import hashlib

import pytest
from fastapi.testclient import TestClient


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/products", "DATABASE_URL"),
        ("/orders", "DATABASE_URL"),
        ("/cache/redis/a", "REDIS_URL"),
        ("/cache/memcached/a", "MEMCACHED_SERVERS"),
    ],
)
def test_without_its_service(client: TestClient, path: str, name: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.json()) == (503, {"detail": f"{name} is not set"})


def test_websocket(client: TestClient) -> None:
    with client.websocket_connect("/ws", headers={"X-Request-ID": "ws-1"}) as first:
        assert (b"x-request-id", b"ws-1") in (first.extra_headers or [])
        first.send_text("a")
        first.send_text("b")
        answers = [first.receive_json(), first.receive_json()]
    number = answers[0]["connection"]
    assert answers == [
        {"connection": number, "message": 1, "text": "a"},
        {"connection": number, "message": 2, "text": "b"},
    ]
    with client.websocket_connect("/ws") as second:
        second.send_text("c")
        assert second.receive_json()["connection"] == number + 1


def test_events(client: TestClient) -> None:
    answer = client.get("/events?count=3&interval=0")
    assert answer.headers["content-type"].startswith("text/event-stream")
    blocks = answer.text.strip().split("\n\n")
    assert [("event: tick" in block, f"id: {n}" in block) for n, block in enumerate(blocks, 1)] == [(True, True)] * 3


def test_upload(client: TestClient) -> None:
    content = bytes(range(256)) * 8192  # 2 MiB: on disk in the parser, several pieces in the endpoint
    answer = client.post("/upload", files={"file": ("a.bin", content)})
    digest = hashlib.sha256(content).hexdigest()
    assert answer.json() == {"filename": "a.bin", "size": len(content), "sha256": digest}


def test_links(client: TestClient) -> None:
    links = client.get("/links", headers={"Host": "shop.example"}).json()
    assert links == {"product": "http://shop.example/products/1", "websocket": "ws://shop.example/ws"}


def test_whoami(client: TestClient) -> None:
    answer = client.get("/whoami", headers={"Host": "shop.example", "X-Request-ID": "id"}).json()
    expected = {"scheme": "http", "host": "shop.example", "url": "http://shop.example/whoami", "request_id": "id"}
    assert answer == {"client": "testclient", **expected}


@pytest.mark.parametrize("path", ["/slow?seconds=31", "/slow?seconds=-1", "/events?count=0", "/events?interval=61"])
def test_bounds(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 422
