# SPDX-License-Identifier: GPL-3.0-or-later
import pytest
from pydantic import ValidationError

from shop.settings import Settings


def test_reads_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_POOL_SIZE", "7")
    monkeypatch.setenv("LOG_LEVEL", "debug")
    monkeypatch.setenv("REDIS_URL", "")
    settings = Settings()
    assert (settings.database_pool_size, settings.log_level, settings.redis_url) == (7, "DEBUG", None)


def test_secrets_are_in_no_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "canary")
    monkeypatch.setenv("DATABASE_URL", "postgresql+asyncpg://shop:canary@/shop")
    assert "canary" not in repr(Settings())
    monkeypatch.setenv("DATABASE_POOL_SIZE", "canary")
    with pytest.raises(ValidationError) as caught:
        Settings()
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "pairs"),
    [("", []), ("127.0.0.1:11211", [("127.0.0.1", 11211)]), ("a:1, [::1]:2,", [("a", 1), ("::1", 2)])],
)
def test_memcached_servers(text: str, pairs: list[tuple[str, int]]) -> None:
    assert Settings(memcached_servers=text).memcached_addresses() == pairs


def test_memcached_server_without_port() -> None:
    with pytest.raises(ValueError, match="'cache' is not host:port"):
        Settings(memcached_servers="cache").memcached_addresses()
