# SPDX-License-Identifier: GPL-3.0-or-later
"""The application: `shop.main:app`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from loguru import logger

from shop import diagnostics, health, logs, orders, products
from shop.resources import open_resources
from shop.settings import Settings


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with open_resources(app.state.settings) as app.state.resources:
        health.revisions()  # reads files once, now and not in the first request
        logger.info("shop {} started", app.version)
        yield
    logger.info("shop {} stopped", app.version)


def create_app(settings: Settings | None = None) -> FastAPI:
    settings = settings or Settings()
    logs.configure(settings.log_level)
    app = FastAPI(title="Shop", version=settings.app_version, lifespan=lifespan)
    app.state.settings = settings
    app.state.signing_key = orders.signing_key(settings)
    app.add_middleware(logs.RequestLog)
    for module in (health, products, orders, diagnostics):
        app.include_router(module.router)
    return app


app = create_app()
