# SPDX-License-Identifier: GPL-3.0-or-later
"""What the application talks to: opened once for each process, closed at its end."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Annotated

import emcache
from fastapi import Depends, HTTPException
from loguru import logger
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from starlette.requests import HTTPConnection

from shop.settings import Settings


@dataclass(frozen=True)
class Resources:
    engine: AsyncEngine | None = None
    sessions: async_sessionmaker[AsyncSession] | None = None
    redis: Redis | None = None
    memcached: emcache.Client | None = None


@asynccontextmanager
async def open_resources(settings: Settings) -> AsyncIterator[Resources]:
    """Nothing here waits for a server: the process starts, and readiness says what is missing."""
    async with AsyncExitStack() as stack:
        engine = sessions = redis = memcached = None
        if settings.database_url:
            engine = create_async_engine(
                settings.database_url.get_secret_value(),
                pool_size=settings.database_pool_size,
                max_overflow=settings.database_pool_overflow,
                pool_timeout=10,
                pool_pre_ping=True,
                connect_args={"timeout": 5, "server_settings": {"application_name": f"shop {settings.app_version}"}},
            )
            stack.push_async_callback(engine.dispose)
            sessions = async_sessionmaker(engine, expire_on_commit=False)
        else:
            logger.warning("DATABASE_URL is not set: products and orders answer 503")
        if settings.redis_url:
            url = settings.redis_url.get_secret_value()
            redis = Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1)
            stack.push_async_callback(redis.aclose)
        if addresses := settings.memcached_addresses():
            nodes = [emcache.MemcachedHostAddress(host, port) for host, port in addresses]
            memcached = await emcache.create_client(nodes, timeout=1.0, connection_timeout=1.0)
            stack.push_async_callback(memcached.close)
        yield Resources(engine, sessions, redis, memcached)


def _resources(connection: HTTPConnection) -> Resources:
    resources: Resources = connection.app.state.resources
    return resources


def _redis(resources: "Uses") -> Redis:
    if resources.redis is None:
        raise HTTPException(503, "REDIS_URL is not set")
    return resources.redis


def _memcached(resources: "Uses") -> emcache.Client:
    if resources.memcached is None:
        raise HTTPException(503, "MEMCACHED_SERVERS is not set")
    return resources.memcached


async def _session(resources: "Uses") -> AsyncIterator[AsyncSession]:
    if resources.sessions is None:
        raise HTTPException(503, "DATABASE_URL is not set")
    async with resources.sessions() as session:
        yield session


# What an endpoint asks for.
Uses = Annotated[Resources, Depends(_resources)]
UsesRedis = Annotated[Redis, Depends(_redis)]
UsesMemcached = Annotated[emcache.Client, Depends(_memcached)]
# "function": the connection is back in the pool before the answer is sent to a slow client.
UsesDatabase = Annotated[AsyncSession, Depends(_session, scope="function")]
