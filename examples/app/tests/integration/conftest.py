# SPDX-License-Identifier: GPL-3.0-or-later
"""These tests need real services, and say so instead of being skipped. See README.md."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from shop.main import create_app
from shop.settings import Settings

ROOT = Path(__file__).parents[2]
NEEDED = ("DATABASE_URL", "OWNER_DATABASE_URL", "REDIS_URL", "MEMCACHED_SERVERS")
Alembic = Callable[..., str]


def pytest_configure() -> None:
    if missing := [name for name in NEEDED if not os.environ.get(name)]:
        raise pytest.UsageError(f"the integration tests need {', '.join(missing)} in the environment")


@pytest.fixture(scope="session")
def alembic() -> Alembic:
    """Alembic as a deployment runs it: a process of its own, as the owner."""

    def run(*arguments: str) -> str:
        environment = {**os.environ, "DATABASE_URL": os.environ["OWNER_DATABASE_URL"]}
        command = [sys.executable, "-m", "alembic", *arguments]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    return run


@pytest.fixture(scope="session")
def migrated(alembic: Alembic) -> None:
    """A shop as new: everything that the tests left is gone."""
    alembic("downgrade", "base")
    alembic("upgrade", "head")


@pytest.fixture
def client(migrated: None) -> Iterator[TestClient]:
    with TestClient(create_app(Settings())) as client:
        yield client
