# SPDX-License-Identifier: GPL-3.0-or-later
"""An app that says how its server treats it."""

import asyncio
import contextlib
import hashlib
import os

from fastapi import FastAPI, Request, WebSocket
from fastapi.responses import StreamingResponse
from starlette.websockets import WebSocketDisconnect

began = []


@contextlib.asynccontextmanager
async def lifespan(_app: FastAPI):
    began.append("began")
    yield
    print("the lifespan has ended", flush=True)


app = FastAPI(lifespan=lifespan)


@app.get("/health/ready")
async def ready():
    return {"version": os.environ["APP_VERSION"], "release": os.getcwd().split("/")[4], "lifespan": began}


@app.get("/whoami")
async def whoami(request: Request):
    client = request.client.host if request.client else None
    return {"client": client, "scheme": request.url.scheme, "url": str(request.url), "pid": os.getpid()}


@app.get("/slow")
async def slow(seconds: float = 2):
    await asyncio.sleep(seconds)
    return {"seconds": seconds}


@app.post("/digest")
async def digest(request: Request):
    total, size = hashlib.sha256(), 0
    async for piece in request.stream():
        total.update(piece)
        size += len(piece)
    return {"size": size, "sha256": total.hexdigest()}


@app.get("/events")
async def events(interval: float = 0.5):
    async def ticks():
        number = 0
        while True:
            yield f"data: {number}\n\n"
            number += 1
            await asyncio.sleep(interval)

    return StreamingResponse(ticks(), media_type="text/event-stream")


@app.websocket("/ws")
async def echo(socket: WebSocket):
    await socket.accept()
    with contextlib.suppress(WebSocketDisconnect):
        while True:
            text = await socket.receive_text()
            await socket.send_json({"text": text, "scheme": socket.url.scheme, "client": socket.client.host})
