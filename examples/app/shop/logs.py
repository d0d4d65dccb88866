# SPDX-License-Identifier: GPL-3.0-or-later
"""All logs are JSON, one object a line on standard error, also what gunicorn, uvicorn and libraries say."""

import json
import logging
import re
import sys
import time
import traceback
import uuid
from contextvars import ContextVar
from datetime import UTC
from typing import TYPE_CHECKING, Any

from loguru import logger
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

if TYPE_CHECKING:
    import loguru

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)

_LEVELS = {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}
# Header values go into logs and answers: nothing but what an id is made of, and not long.
_SAFE_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")


def _write(message: "loguru.Message") -> None:
    record = message.record
    entry: dict[str, Any] = {
        "time": record["time"].astimezone(UTC).isoformat(timespec="milliseconds"),
        "level": record["level"].name,
        "logger": record["name"],
        "message": record["message"],
        "request_id": request_id.get(),
        **record["extra"],
    }
    if exception := record["exception"]:
        # Not loguru's own format: that shows the values of variables, so secrets too.
        entry["exception"] = "".join(traceback.format_exception(exception.type, exception.value, exception.traceback))
    sys.stderr.write(json.dumps(entry, default=str) + "\n")
    sys.stderr.flush()


# What uvicorn says of each WebSocket, at the level of its errors. RequestLog says it once, with the id.
_DOUBLES = ('%s - "WebSocket', "connection open", "connection closed")


class _ToLoguru(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        if record.name == "uvicorn.error" and str(record.msg).startswith(_DOUBLES):
            return
        level = record.levelname if record.levelname in _LEVELS else record.levelno
        logger.opt(exception=record.exc_info).bind(logger=record.name).log(level, record.getMessage())


def configure(level: str) -> None:
    logger.remove()
    logger.add(_write, level=level, format="{message}", backtrace=False, diagnose=False)
    logging.basicConfig(handlers=[_ToLoguru()], level=level, force=True)
    logging.captureWarnings(True)
    logging.getLogger("emcache").setLevel("WARNING")  # a line for each connection of its pool is too much
    for name in ("uvicorn", "uvicorn.error", "gunicorn.error"):
        server = logging.getLogger(name)
        # A new list: gunicorn's worker shares one list object between several loggers.
        server.handlers, server.propagate = [], True
    # RequestLog below says the same and more. Without a handler uvicorn does not even format the line.
    for name in ("uvicorn.access", "gunicorn.access"):
        access = logging.getLogger(name)
        access.handlers, access.propagate = [], False


class RequestLog:
    """One line for each request and WebSocket; the id of the request in every line and in the answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        given = Headers(scope=scope).get("x-request-id", "")
        current = given if _SAFE_ID.fullmatch(given) else uuid.uuid4().hex
        request_id.set(current)
        status: int | None = None
        start = time.perf_counter()

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] in {"http.response.start", "websocket.http.response.start", "websocket.accept"}:
                status = message.get("status", 101)
                MutableHeaders(scope=message)["X-Request-ID"] = current
            elif message["type"] == "websocket.close" and status is None:
                status = 403  # refused before it was accepted
            await send(message)

        try:
            await self.app(scope, receive, send_with_id)
        except Exception:
            if status is not None or scope["type"] == "websocket":
                raise  # too late for an answer: the server closes the connection and logs the stack
            logger.exception("unhandled error")
            await JSONResponse({"detail": "Internal Server Error"}, 500)(scope, receive, send_with_id)
        finally:
            # Probes come every few seconds: only their failures are news.
            quiet = scope["path"].startswith("/health/") and (status or 500) < 500
            logger.bind(
                method=scope.get("method", "WEBSOCKET"),
                path=scope["path"],
                status=status,
                duration_ms=round((time.perf_counter() - start) * 1000, 1),
            ).log("DEBUG" if quiet else "INFO", "request")
