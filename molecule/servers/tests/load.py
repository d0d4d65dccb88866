# Copyright: asgi.production contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A strict client: raw sockets, HTTPS, HTTP/1.1, no retries, paced. Each failure is counted by kind.

Most HTTP clients hide what a deploy loses: they repeat a request, or look whether a kept connection is closed before
they use it. This one does neither: a request that was begun and has no whole, right answer is lost.

It runs as a program of its own, until its standard input ends, and then prints its report as JSON.
Usage: load.py ADDRESS DOMAIN SCALE
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import os
import ssl
import sys
import threading
import time
import typing as t
from collections.abc import Awaitable, Callable

# Whoever waits longer than this has lost patience.
PATIENCE = 30
SMALL, LARGE = os.urandom(2_000), os.urandom(300_000)


class Load:
    def __init__(self, address: str, domain: str) -> None:
        self.address, self.domain = address, domain
        self.ending = asyncio.Event()
        self.sent: dict[str, int] = {}
        self.lost: list[tuple[float, str, str]] = []
        self.answers: list[tuple[float, float, str]] = []  # when it ended, how long it took, its kind
        self.streams: list[tuple[float, float, str, str]] = []  # began, ended, kind, how it ended
        self.tls = ssl.create_default_context()
        self.tls.check_hostname, self.tls.verify_mode = False, ssl.CERT_NONE
        self.tls.set_alpn_protocols(["http/1.1"])

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(self.address, 443, ssl=self.tls, server_hostname=self.domain)

    def head(self, method: str, path: str, *lines: str) -> bytes:
        return "\r\n".join([f"{method} {path} HTTP/1.1", f"Host: {self.domain}", *lines, "", ""]).encode()

    # -- requests

    async def ask(self, streams: tuple, method: str, path: str, body: bytes) -> bool:
        """Send one request and see that its answer is whole and right. Whether the connection stays open."""
        reader, writer = streams
        writer.write(self.head(method, path, f"Content-Length: {len(body)}") + body)
        status = (await reader.readline()).decode()
        if not status:
            raise OSError("closed without an answer")
        headers = {}
        while line := (await reader.readline()).decode().strip():
            name, _colon, value = line.partition(":")
            headers[name.lower()] = value.strip()
        if "content-length" not in headers:
            raise OSError(f"half an answer: {status.strip()}")
        answer = await reader.readexactly(int(headers["content-length"]))
        if " 200 " not in status:
            raise OSError(status.strip())
        if body and json.loads(answer)["sha256"] != hashlib.sha256(body).hexdigest():
            raise OSError("the app got another body")
        return headers.get("connection") != "close"

    async def client(
        self, kind: str, method: str, path: str, body: bytes, pace: float, keep: bool, delay: float
    ) -> None:
        """One client, which sends a request every `pace` seconds."""
        streams = None
        await asyncio.sleep(delay)
        while not self.ending.is_set():
            began = time.time()
            self.sent[kind] = self.sent.get(kind, 0) + 1
            stays = False
            try:
                async with asyncio.timeout(PATIENCE):
                    if streams is None:
                        streams = await self.connect()
                    stays = await self.ask(streams, method, path, body)
                self.answers.append((time.time(), time.time() - began, kind))
            except (OSError, EOFError, ValueError, KeyError, TimeoutError) as error:
                self.lost.append((began, kind, str(error) or type(error).__name__))
            if streams and not (keep and stays):
                streams[1].transport.abort() if not stays else streams[1].close()
                streams = None
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.ending.wait(), max(0.05, pace - (time.time() - began)))
        if streams:
            streams[1].close()

    # -- streams

    async def stream(self, kind: str, hold: Callable[[], Awaitable[str]]) -> None:
        """A WebSocket or a stream of events that is opened again when it ends."""
        while not self.ending.is_set():
            began, task = time.time(), asyncio.ensure_future(hold())
            ending = asyncio.ensure_future(self.ending.wait())
            await asyncio.wait({task, ending}, return_when=asyncio.FIRST_COMPLETED)
            ending.cancel()
            if not task.done():
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
                return
            error = task.exception()
            how = (str(error) or type(error).__name__) if error else task.result()
            self.streams.append((began, time.time(), kind, how))
            await asyncio.sleep(0.2)

    async def events(self) -> str:
        reader, writer = await self.connect()
        try:
            writer.write(self.head("GET", "/events", "Accept: text/event-stream"))
            status = await asyncio.wait_for(reader.readline(), PATIENCE)
            if b" 200 " not in status:
                raise OSError(f"refused: {status.decode().strip()}")
            expected = 0
            while line := await asyncio.wait_for(reader.readline(), PATIENCE):
                if line.startswith(b"data: "):
                    if int(line[6:]) != expected:
                        raise OSError("an event was lost")
                    expected += 1
            return "ended"
        finally:
            writer.transport.abort()

    async def websocket(self) -> str:
        reader, writer = await self.connect()
        try:
            key = base64.b64encode(os.urandom(16)).decode()
            upgrade = ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13")
            writer.write(self.head("GET", "/ws", *upgrade, f"Sec-WebSocket-Key: {key}"))
            answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE)
            if b" 101 " not in answer:
                raise OSError(f"refused: {answer.splitlines()[0].decode()}")
            while True:
                writer.write(b"\x81\x84\x00\x00\x00\x00ping")
                head = await asyncio.wait_for(reader.readexactly(2), PATIENCE)
                content = await reader.readexactly(head[1] & 127)  # short ones alone
                if head[0] & 15 == 8:
                    return f"closed with {int.from_bytes(content[:2], 'big')}"
                if json.loads(content)["text"] != "ping":
                    raise OSError("another echo")
                await asyncio.sleep(0.5)
        except asyncio.IncompleteReadError:
            return "cut"
        finally:
            writer.transport.abort()

    # -- all of it

    async def run(self, scale: float) -> dict[str, t.Any]:
        #        kind      method path        body   every keep  clients
        clients = [
            ("get", "GET", "/whoami", b"", 0.1, True, 8),
            ("post", "POST", "/digest", SMALL, 0.1, True, 4),
            ("post after a pause", "POST", "/digest", SMALL, 2.0, True, 6),
            ("new connection", "GET", "/whoami", b"", 0.2, False, 3),
            ("upload", "POST", "/digest", LARGE, 0.5, True, 2),
            ("two seconds", "GET", "/slow?seconds=2", b"", 2.0, True, 6),
        ]
        tasks = [
            self.client(kind, method, path, body, every / scale if every < 2 else every, keep, number * every / many)
            for kind, method, path, body, every, keep, many in clients
            for number in range(many)
        ]
        tasks += [self.stream("events", self.events), self.stream("websocket", self.websocket)]
        loop = asyncio.get_running_loop()

        def wait_for_the_end() -> None:
            sys.stdin.read()
            loop.call_soon_threadsafe(self.ending.set)

        threading.Thread(target=wait_for_the_end, daemon=True).start()
        await asyncio.gather(*tasks)
        return {"sent": self.sent, "lost": self.lost, "answers": self.answers, "streams": self.streams}


async def main(address: str, domain: str, scale: str) -> None:
    print(json.dumps(await Load(address, domain).run(float(scale))))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
