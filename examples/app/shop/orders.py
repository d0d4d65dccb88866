# SPDX-License-Identifier: GPL-3.0-or-later
"""Orders, listed the right way and the wrong way."""

import hashlib
import hmac
import secrets
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request
from loguru import logger
from pydantic import BaseModel, Field
from sqlalchemy import select
from sqlalchemy.orm import selectinload

from shop.models import Order, OrderItem, Product
from shop.resources import UsesDatabase
from shop.settings import Settings

router = APIRouter(prefix="/orders", tags=["orders"])
Limit = Annotated[int, Query(ge=1, le=100)]


class ItemIn(BaseModel):
    product_id: int
    quantity: Annotated[int, Field(ge=1, le=1000)]


class OrderIn(BaseModel):
    customer: Annotated[str, Field(min_length=1, max_length=200)]
    items: Annotated[list[ItemIn], Field(min_length=1, max_length=50)]


class ItemOut(BaseModel):
    product: str
    quantity: int
    price_cents: int


class OrderOut(BaseModel):
    id: int
    customer: str
    items: list[ItemOut]
    total_cents: int


class Receipt(BaseModel):
    id: int
    receipt: str


def signing_key(settings: Settings) -> bytes:
    if settings.secret_key:
        return settings.secret_key.get_secret_value().encode()
    logger.warning("SECRET_KEY is not set: links to receipts end with this process")
    return secrets.token_bytes(32)


def _sign(request: Request, order_id: int) -> str:
    return hmac.new(request.app.state.signing_key, b"receipt:%d" % order_id, hashlib.sha256).hexdigest()


def _out(order: Order) -> OrderOut:
    items = [ItemOut(product=i.product.name, quantity=i.quantity, price_cents=i.price_cents) for i in order.items]
    total = sum(item.quantity * item.price_cents for item in items)
    return OrderOut(id=order.id, customer=order.customer, items=items, total_cents=total)


_complete = selectinload(Order.items).selectinload(OrderItem.product)


@router.get("")
async def list_orders(database: UsesDatabase, limit: Limit = 20) -> list[OrderOut]:
    """Three queries, however many orders there are."""
    orders = await database.scalars(select(Order).options(_complete).order_by(Order.id.desc()).limit(limit))
    return [_out(order) for order in orders]


@router.get("/n-plus-one")
async def list_orders_slowly(database: UsesDatabase, limit: Limit = 20) -> list[OrderOut]:
    """The same answer with one more query for each order and each product: wrong on purpose, to be found in traces."""
    orders = (await database.scalars(select(Order).order_by(Order.id.desc()).limit(limit))).all()
    for order in orders:
        for item in await order.awaitable_attrs.items:
            await item.awaitable_attrs.product
    return [_out(order) for order in orders]


@router.post("", status_code=201)
async def create_order(new: OrderIn, request: Request, database: UsesDatabase) -> Receipt:
    wanted = {item.product_id for item in new.items}
    found = {product.id: product for product in await database.scalars(select(Product).where(Product.id.in_(wanted)))}
    if missing := wanted - found.keys():
        raise HTTPException(422, f"no such products: {sorted(missing)}")
    items = [
        OrderItem(product_id=item.product_id, quantity=item.quantity, price_cents=found[item.product_id].price_cents)
        for item in new.items
    ]
    order = Order(customer=new.customer, items=items)
    database.add(order)
    await database.commit()
    url = request.url_for("receipt", order_id=order.id).include_query_params(signature=_sign(request, order.id))
    return Receipt(id=order.id, receipt=str(url))


@router.get("/{order_id}/receipt", name="receipt")
async def get_receipt(order_id: int, signature: str, request: Request, database: UsesDatabase) -> OrderOut:
    """Whoever has the signed link may read it; every process with the same SECRET_KEY accepts it."""
    if not hmac.compare_digest(signature.encode(), _sign(request, order_id).encode()):
        raise HTTPException(403, "wrong signature")
    order = await database.get(Order, order_id, options=[_complete])
    if order is None:
        raise HTTPException(404, "no such order")
    return _out(order)
