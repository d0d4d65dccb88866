# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings, read from the environment only."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    # An error in a value must not print the value: some are secrets.
    model_config = SettingsConfigDict(env_ignore_empty=True, hide_input_in_errors=True, frozen=True, extra="ignore")

    app_version: str = "dev"
    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(str.upper)] = "INFO"
    secret_key: SecretStr | None = None

    # What is not set is not used, and is absent from the readiness answer.
    database_url: SecretStr | None = None
    database_pool_size: int = Field(default=5, ge=1)
    database_pool_overflow: int = Field(default=5, ge=0)
    redis_url: SecretStr | None = None
    memcached_servers: str = ""

    def memcached_addresses(self) -> list[tuple[str, int]]:
        """`host:port,host:port` as pairs; an IPv6 address is written in brackets."""
        pairs = []
        for server in filter(None, (part.strip() for part in self.memcached_servers.split(","))):
            host, separator, port = server.rpartition(":")
            if not (separator and port.isdigit()):
                raise ValueError(f"MEMCACHED_SERVERS: '{server}' is not host:port")
            pairs.append((host.strip("[]"), int(port)))
        return pairs
