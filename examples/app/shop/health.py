# SPDX-License-Identifier: GPL-3.0-or-later
"""Liveness, readiness, version."""

import asyncio
import os
import platform
import re
import time
from collections.abc import Awaitable, Callable
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response
from loguru import logger
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.ext.asyncio import AsyncEngine

from shop.resources import Resources, Uses

CHECK_SECONDS = 2.0
router = APIRouter(tags=["health"])


class NotMigrated(Exception):
    """The schema is older than this code."""


@cache
def revisions() -> tuple[str, frozenset[str]]:
    """The newest migration that this code brings, and all of them. By hand: importing alembic takes 0.3 s."""
    folder = Path(__file__).parent.parent / "migrations/versions"
    source = "\n".join(path.read_text() for path in folder.glob("*.py"))
    known = frozenset(re.findall(r'^revision = "(.+)"$', source, re.MULTILINE))
    (head,) = known.difference(re.findall(r'^down_revision = "(.+)"$', source, re.MULTILINE))
    return head, known


async def _postgres(engine: AsyncEngine) -> None:
    head, known = revisions()
    try:
        async with engine.connect() as connection:
            current = await connection.scalar(text("SELECT version_num FROM alembic_version"))
    except ProgrammingError:
        current = None  # no such table: never migrated
    # A revision that we don't know is a newer release's: it migrates while this one still serves, and that is fine.
    if current != head and (current is None or current in known):
        raise NotMigrated(f"the database is at revision {current}, this release needs {head}: run the migrations")


def _probes(resources: Resources) -> dict[str, Callable[[], Awaitable[object]]]:
    probes: dict[str, Callable[[], Awaitable[object]]] = {}
    if engine := resources.engine:
        probes["postgres"] = lambda: _postgres(engine)
    if redis := resources.redis:
        probes["redis"] = redis.ping
    if memcached := resources.memcached:
        probes["memcached"] = lambda: memcached.get(b"shop:health")
    return probes


async def _check(name: str, probe: Callable[[], Awaitable[object]]) -> dict[str, Any]:
    start = time.perf_counter()
    error = None
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await probe()
    except Exception as exception:
        # The answer is public and a driver's text may name hosts and users: that goes to the log alone.
        error = str(exception) if isinstance(exception, NotMigrated) else type(exception).__name__
        logger.warning("not ready: {}: {!r}", name, exception)
    result = {"ok": error is None, "seconds": round(time.perf_counter() - start, 4)}
    return result if error is None else {**result, "error": error}


@router.get("/health/live")
async def live() -> dict[str, str]:
    return {"status": "alive"}


@router.get("/health/ready")
async def ready(request: Request, response: Response, resources: Uses) -> dict[str, Any]:
    probes = _probes(resources)
    results = await asyncio.gather(*(_check(name, probe) for name, probe in probes.items()))
    healthy = all(result["ok"] for result in results)
    response.status_code = 200 if healthy else 503
    return {
        "status": "ready" if healthy else "not ready",
        "version": request.app.version,
        "checks": dict(zip(probes, results, strict=True)),
    }


@router.get("/version")
async def version(request: Request) -> dict[str, str | int]:
    return {"version": request.app.version, "python": platform.python_version(), "pid": os.getpid()}
