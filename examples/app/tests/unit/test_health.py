# SPDX-License-Identifier: GPL-3.0-or-later
import asyncio
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from fastapi.testclient import TestClient
from pydantic import SecretStr

from shop.health import revisions
from shop.main import create_app
from shop.settings import Settings

ROOT = Path(__file__).parents[2]


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A server that accepts and never answers."""
    loop = asyncio.new_event_loop()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1000):
            pass
        writer.close()

    server = loop.run_until_complete(asyncio.start_server(say_nothing, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield server.sockets[0].getsockname()[1]

    async def end() -> None:
        server.close()
        await asyncio.sleep(0.1)

    asyncio.run_coroutine_threadsafe(end(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def test_live_and_version(client: TestClient) -> None:
    assert client.get("/health/live").json() == {"status": "alive"}
    answer = client.get("/version").json()
    assert answer["version"] == "7.8.9"
    assert answer["pid"] > 1
    assert re.fullmatch(r"3\.\d+\.\d+.*", answer["python"])


def test_what_is_not_configured_is_not_checked(client: TestClient) -> None:
    answer = client.get("/health/ready")
    assert answer.status_code == 200
    assert answer.json() == {"status": "ready", "version": "7.8.9", "checks": {}}


def test_refused_connections() -> None:
    settings = Settings(
        database_url=SecretStr("postgresql+asyncpg://shop:canary@127.0.0.1:1/shop"),
        redis_url=SecretStr("redis://app:canary@127.0.0.1:1/0"),
        memcached_servers="127.0.0.1:1",
    )
    with TestClient(create_app(settings)) as client:
        answer = client.get("/health/ready")
        assert client.get("/health/live").status_code == 200
    assert answer.status_code == 503
    assert answer.json()["status"] == "not ready"
    checks = answer.json()["checks"]
    assert {name: check["ok"] for name, check in checks.items()} == dict.fromkeys(
        ("postgres", "redis", "memcached"), False
    )
    assert "canary" not in answer.text


def test_each_check_is_bounded(silent_port: int) -> None:
    settings = Settings(
        database_url=SecretStr(f"postgresql+asyncpg://shop:x@127.0.0.1:{silent_port}/shop"),
        redis_url=SecretStr(f"redis://127.0.0.1:{silent_port}/0"),
        memcached_servers=f"127.0.0.1:{silent_port}",
    )
    with TestClient(create_app(settings)) as client:
        start = time.monotonic()
        answer = client.get("/health/ready")
        elapsed = time.monotonic() - start
    assert answer.status_code == 503
    assert not any(check["ok"] for check in answer.json()["checks"].values())
    assert elapsed < 3


def test_revisions_are_those_that_alembic_sees() -> None:
    scripts = ScriptDirectory.from_config(Config(str(ROOT / "alembic.ini")))
    head, known = revisions()
    assert head == scripts.get_current_head()
    assert known == {script.revision for script in scripts.walk_revisions()}
