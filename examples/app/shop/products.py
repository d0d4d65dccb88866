# SPDX-License-Identifier: GPL-3.0-or-later
"""Products: the list is cached in Redis, the views of one are counted in Memcached."""

from typing import Annotated

import emcache
from fastapi import APIRouter, HTTPException, Response
from loguru import logger
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from shop.models import Product
from shop.resources import Uses, UsesDatabase

LIST_KEY = "shop:products"
LIST_SECONDS = 30
router = APIRouter(prefix="/products", tags=["products"])


class ProductIn(BaseModel):
    name: Annotated[str, Field(min_length=1, max_length=200)]
    description: Annotated[str, Field(max_length=2000)] = ""
    price_cents: Annotated[int, Field(ge=0, le=100_000_000)]


class ProductOut(ProductIn):
    model_config = ConfigDict(from_attributes=True)
    id: int


class ProductSeen(ProductOut):
    views: int | None = None


_Products = TypeAdapter(list[ProductOut])


async def _cached(redis: Redis | None) -> bytes | str | None:
    """A cache that is down makes the shop slower, not broken."""
    try:
        return await redis.get(LIST_KEY) if redis else None
    except (RedisError, OSError) as exception:
        logger.warning("product list not read from the cache: {!r}", exception)
        return None


async def _cache(redis: Redis | None, content: bytes | None) -> None:
    """Keep the list, or forget it (None)."""
    try:
        if redis:
            await (redis.delete(LIST_KEY) if content is None else redis.set(LIST_KEY, content, ex=LIST_SECONDS))
    except (RedisError, OSError) as exception:
        logger.warning("product list not changed in the cache: {!r}", exception)


async def _count_view(memcached: emcache.Client | None, product_id: int) -> int | None:
    if memcached is None:
        return None
    key = b"shop:views:%d" % product_id
    try:
        try:
            return await memcached.increment(key, 1)
        except emcache.NotFoundCommandError:
            await memcached.add(key, b"1")
            return 1
    except (emcache.CommandError, emcache.ClusterNoAvailableNodes, OSError, TimeoutError) as exception:
        logger.warning("view not counted: {!r}", exception)
        return None


async def _find(database: AsyncSession, product_id: int) -> Product:
    product = await database.get(Product, product_id)
    if product is None:
        raise HTTPException(404, "no such product")
    return product


async def _commit(database: AsyncSession, redis: Redis | None, conflict: str) -> None:
    try:
        await database.commit()
    except IntegrityError as exception:
        raise HTTPException(409, conflict) from exception
    await _cache(redis, None)


@router.get("", response_model=list[ProductOut])
async def list_products(database: UsesDatabase, resources: Uses) -> Response:
    content = await _cached(resources.redis)
    source = "hit" if content is not None else "miss" if resources.redis else "off"
    if content is None:
        products = (await database.scalars(select(Product).order_by(Product.id).limit(100))).all()
        content = _Products.dump_json(_Products.validate_python(products))
        await _cache(resources.redis, content)
    return Response(content, media_type="application/json", headers={"X-Cache": source})


@router.post("", status_code=201)
async def create_product(new: ProductIn, database: UsesDatabase, resources: Uses) -> ProductOut:
    product = Product(**new.model_dump())
    database.add(product)
    await _commit(database, resources.redis, "this name is taken")
    return ProductOut.model_validate(product)


@router.get("/{product_id}", name="product")
async def get_product(product_id: int, database: UsesDatabase, resources: Uses) -> ProductSeen:
    product = ProductSeen.model_validate(await _find(database, product_id))
    product.views = await _count_view(resources.memcached, product_id)
    return product


@router.put("/{product_id}")
async def change_product(product_id: int, new: ProductIn, database: UsesDatabase, resources: Uses) -> ProductOut:
    product = await _find(database, product_id)
    for field, value in new.model_dump().items():
        setattr(product, field, value)
    await _commit(database, resources.redis, "this name is taken")
    return ProductOut.model_validate(product)


@router.delete("/{product_id}", status_code=204)
async def delete_product(product_id: int, database: UsesDatabase, resources: Uses) -> None:
    await database.delete(await _find(database, product_id))
    await _commit(database, resources.redis, "this product has been ordered")
