# SPDX-License-Identifier: GPL-3.0-or-later
import logging
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from shop.main import create_app
from shop.settings import Settings


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests need no service, and must not find one by accident."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


logging.getLogger("httpx2").setLevel("WARNING")  # the test client's own lines are not the application's


@pytest.fixture
def client(no_environment: None) -> Iterator[TestClient]:
    with TestClient(create_app(Settings(app_version="7.8.9"))) as client:
        yield client
