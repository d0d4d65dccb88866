# SPDX-License-Identifier: GPL-3.0-or-later
"""The application under gunicorn with two workers on a unix socket, as it runs in production."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import websockets

from tests.lines import log_lines

ROOT = Path(__file__).parents[2]


class Server:
    def __init__(self, folder: Path) -> None:
        self.socket, self.log = folder / "app.sock", folder / "log"
        command = [sys.executable, "-m", "gunicorn", "-k", "uvicorn_worker.UvicornWorker", "-w", "2"]
        command += ["--bind", f"unix:{self.socket}", "--forwarded-allow-ips", "*", "--no-control-socket"]
        environment = {**os.environ, "SECRET_KEY": "test", "APP_VERSION": "1.2.3"}
        with self.log.open("w") as log:
            # A session of its own: workers outlive a master that is killed, so all of them must be reached.
            self.process = subprocess.Popen(
                [*command, "shop.main:app"], cwd=ROOT, env=environment, stderr=log, start_new_session=True
            )

    def client(self) -> httpx2.Client:
        return httpx2.Client(transport=httpx2.HTTPTransport(uds=str(self.socket)), base_url="http://shop", timeout=10)

    def wait(self) -> None:
        for _ in range(300):
            assert self.process.poll() is None, self.log.read_text()
            with socket.socket(socket.AF_UNIX) as probe:
                if probe.connect_ex(str(self.socket)) == 0:
                    break
            time.sleep(0.1)
        with self.client() as client:
            # Waits in the socket's queue until a worker is there.
            assert client.get("/health/ready").status_code == 200

    def stop(self) -> list[dict[str, Any]]:
        self.process.terminate()
        assert self.process.wait(20) == 0
        return log_lines(self.log.read_text())


@pytest.fixture
def server(migrated: None, tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    try:
        server.wait()
        yield server
    finally:
        if server.process.poll() is None:
            os.killpg(server.process.pid, signal.SIGKILL)
            server.process.wait()


def test_forwarded_headers(server: Server) -> None:
    headers = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https", "Host": "shop.example"}
    with server.client() as client:
        who = client.get("/whoami", headers=headers).json()
        links = client.get("/links", headers=headers).json()
    assert (who["client"], who["scheme"], who["host"]) == ("203.0.113.9", "https", "shop.example")
    assert links == {"product": "https://shop.example/products/1", "websocket": "wss://shop.example/ws"}


def test_events_arrive_one_by_one(server: Server) -> None:
    with server.client() as client, client.stream("GET", "/events?count=3&interval=0.3") as stream:
        times = [time.monotonic() for line in stream.iter_lines() if line.startswith("data:")]
    assert len(times) == 3
    assert times[2] - times[0] > 0.5


def test_logs_and_clean_end(server: Server) -> None:
    async def talk() -> str | bytes:
        async with websockets.unix_connect(str(server.socket), "ws://shop/ws") as connection:
            await connection.send("hello")
            return await connection.recv()

    assert '"text":"hello"' in str(asyncio.run(talk()))
    with server.client() as client:
        assert client.get("/fail", headers={"X-Request-ID": "failed"}).status_code == 500
    lines = server.stop()
    messages = [line["message"] for line in lines]
    assert "Shutting down: Master" in messages  # gunicorn's master logs JSON too
    assert messages.count("shop 1.2.3 stopped") == 2
    assert [line["level"] for line in lines if line["request_id"] == "failed"] == ["ERROR", "INFO"]
    assert [line["status"] for line in lines if line.get("path") == "/ws"] == [101]
    assert not any("/ws" in message for message in messages)
