# SPDX-License-Identifier: GPL-3.0-or-later
"""Endpoints that show how the application is reached and how it behaves under odd requests."""

import asyncio
import hashlib
import itertools
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Path, Query, Request, Response, UploadFile, WebSocket
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.websockets import WebSocketDisconnect

from shop.logs import request_id
from shop.resources import UsesMemcached, UsesRedis

CACHE_SECONDS = 600
CACHE_MAX_BYTES = 64 * 1024
router = APIRouter(tags=["diagnostics"])
Key = Annotated[str, Path(pattern=r"^[A-Za-z0-9._-]{1,100}$")]
_connections = itertools.count(1)


@router.websocket("/ws", name="ws")
async def echo(websocket: WebSocket) -> None:
    """Each text comes back with the order number of this connection in this process and of the text in it."""
    await websocket.accept()
    connection = next(_connections)
    try:
        for message in itertools.count(1):
            text = await websocket.receive_text()
            await websocket.send_json({"connection": connection, "message": message, "text": text})
    except WebSocketDisconnect:
        pass  # the usual end


@router.get("/events", response_class=EventSourceResponse)
async def events(
    count: Annotated[int, Query(ge=1, le=1000)] = 10, interval: Annotated[float, Query(ge=0, le=60)] = 1.0
) -> AsyncIterator[ServerSentEvent]:
    for number in range(1, count + 1):
        if number > 1:
            await asyncio.sleep(interval)
        yield ServerSentEvent(id=str(number), event="tick", data={"number": number, "time": datetime.now(UTC)})


@router.get("/slow")
async def slow(seconds: Annotated[float, Query(ge=0, le=30)] = 2.0) -> dict[str, float]:
    await asyncio.sleep(seconds)
    return {"seconds": seconds}


@router.get("/fail")
async def fail() -> None:
    raise RuntimeError("this endpoint always fails")


@router.get("/links")
async def links(request: Request) -> dict[str, str]:
    """Absolute addresses: right only if the proxy in front says how it was reached, and the server believes it."""
    return {"product": str(request.url_for("product", product_id=1)), "websocket": str(request.url_for("ws"))}


@router.get("/whoami")
async def whoami(request: Request) -> dict[str, Any]:
    return {
        "client": request.client.host if request.client else None,
        "scheme": request.url.scheme,
        "host": request.headers.get("host"),
        "url": str(request.url),
        "request_id": request_id.get(),
    }


@router.post("/upload")
async def upload(file: UploadFile) -> dict[str, str | int | None]:
    """The form parser puts large files on disk; here no more than one piece is in memory."""
    digest, size = hashlib.sha256(), 0
    while piece := await file.read(256 * 1024):
        digest.update(piece)
        size += len(piece)
    return {"filename": file.filename, "size": size, "sha256": digest.hexdigest()}


async def _body(request: Request) -> bytes:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > CACHE_MAX_BYTES:
            raise HTTPException(413, f"at most {CACHE_MAX_BYTES} bytes")
    return body


Body = Annotated[bytes, Depends(_body)]


def _value(value: bytes | str | None) -> Response:
    if value is None:
        raise HTTPException(404, "no such key")
    return Response(value, media_type="application/octet-stream")


@router.get("/cache/redis/{key}", response_class=Response)
async def redis_get(key: Key, redis: UsesRedis) -> Response:
    return _value(await redis.get(f"shop:cache:{key}"))


@router.put("/cache/redis/{key}", status_code=204)
async def redis_put(key: Key, body: Body, redis: UsesRedis) -> None:
    await redis.set(f"shop:cache:{key}", body, ex=CACHE_SECONDS)


@router.get("/cache/memcached/{key}", response_class=Response)
async def memcached_get(key: Key, memcached: UsesMemcached) -> Response:
    item = await memcached.get(f"shop:cache:{key}".encode())
    return _value(item.value if item else None)


@router.put("/cache/memcached/{key}", status_code=204)
async def memcached_put(key: Key, body: Body, memcached: UsesMemcached) -> None:
    await memcached.set(f"shop:cache:{key}".encode(), body, exptime=CACHE_SECONDS)
