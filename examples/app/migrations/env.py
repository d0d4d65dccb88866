# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the migrations on DATABASE_URL, as a role that owns the tables."""

import asyncio
import os

from alembic import context
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from shop.logs import configure
from shop.models import Base

# Any number, the same for all who migrate this database.
LOCK = 7_467_001


def migrate(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=Base.metadata)
    with context.begin_transaction():
        # One at a time: a second run waits, and then finds nothing to do.
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        # A migration that waits for a table's lock makes every request behind it wait: better fail, and try again.
        connection.execute(text("SET LOCAL lock_timeout = '5s'"))
        context.run_migrations()


async def main() -> None:
    engine = create_async_engine(os.environ["DATABASE_URL"], poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            await connection.run_sync(migrate)
    finally:
        await engine.dispose()


if context.is_offline_mode():
    context.configure(dialect_name="postgresql", target_metadata=Base.metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    configure(os.environ.get("LOG_LEVEL", "INFO").upper())
    asyncio.run(main())
