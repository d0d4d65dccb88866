# SPDX-License-Identifier: GPL-3.0-or-later
import asyncio
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from tests.integration.conftest import Alembic


def execute(variable: str, statement: str) -> None:
    async def run() -> None:
        engine = create_async_engine(os.environ[variable], poolclass=NullPool)
        try:
            async with engine.begin() as connection:
                await connection.execute(text(statement))
        finally:
            await engine.dispose()

    asyncio.run(run())


@pytest.fixture
def schema_again(alembic: Alembic) -> Iterator[None]:
    yield
    alembic("upgrade", "head")


def test_not_ready_before_the_migrations(client: TestClient, alembic: Alembic, schema_again: None) -> None:
    alembic("downgrade", "base")
    answer = client.get("/health/ready")
    assert answer.status_code == 503
    assert answer.json()["checks"]["postgres"]["error"].startswith("the database is at revision None")
    assert answer.json()["checks"]["redis"]["ok"]
    alembic("upgrade", "0001")
    assert "at revision 0001" in client.get("/health/ready").json()["checks"]["postgres"]["error"]
    alembic("upgrade", "head")
    assert client.get("/health/ready").status_code == 200


def test_ready_when_a_newer_release_has_migrated(client: TestClient) -> None:
    execute("OWNER_DATABASE_URL", "UPDATE alembic_version SET version_num = 'of-tomorrow'")
    try:
        assert client.get("/health/ready").status_code == 200
    finally:
        execute("OWNER_DATABASE_URL", "UPDATE alembic_version SET version_num = '0003'")


def test_no_schema_table_at_all(client: TestClient) -> None:
    execute("OWNER_DATABASE_URL", "ALTER TABLE alembic_version RENAME TO away")
    try:
        assert client.get("/health/ready").status_code == 503
    finally:
        execute("OWNER_DATABASE_URL", "ALTER TABLE away RENAME TO alembic_version")


def test_models_and_migrations_agree(migrated: None, alembic: Alembic) -> None:
    assert "No new upgrade operations detected" in alembic("check")


def test_two_migrations_at_once(migrated: None, alembic: Alembic, schema_again: None) -> None:
    alembic("downgrade", "base")
    with ThreadPoolExecutor() as pool:
        outputs = list(pool.map(lambda _: alembic("upgrade", "head"), range(2)))
    assert sorted(output.count("Running upgrade") for output in outputs) == [0, 3]


def test_migration_as_sql(alembic: Alembic) -> None:
    assert "CREATE TABLE products" in alembic("upgrade", "head", "--sql")


def test_the_application_cannot_change_the_schema(migrated: None) -> None:
    with pytest.raises(ProgrammingError, match="permission denied"):
        execute("DATABASE_URL", "CREATE TABLE mine (id int)")
