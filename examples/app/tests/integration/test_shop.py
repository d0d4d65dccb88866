# SPDX-License-Identifier: GPL-3.0-or-later
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import SecretStr
from sqlalchemy import event

from shop.main import create_app
from shop.settings import Settings


@contextmanager
def counted_queries(client: TestClient) -> Iterator[list[str]]:
    queries: list[str] = []
    assert isinstance(client.app, FastAPI)
    engine = client.app.state.resources.engine.sync_engine

    def remember(connection: object, cursor: object, statement: str, *rest: object) -> None:
        queries.append(statement)

    event.listen(engine, "before_cursor_execute", remember)
    yield queries
    event.remove(engine, "before_cursor_execute", remember)


def test_ready(client: TestClient) -> None:
    answer = client.get("/health/ready")
    assert answer.status_code == 200
    assert answer.json()["status"] == "ready"
    assert {name: check["ok"] for name, check in answer.json()["checks"].items()} == dict.fromkeys(
        ("postgres", "redis", "memcached"), True
    )


def test_life_of_a_product(client: TestClient) -> None:
    name = f"Cup {uuid4()}"
    created = client.post("/products", json={"name": name, "price_cents": 900})
    assert created.status_code == 201
    path = f"/products/{created.json()['id']}"
    assert client.post("/products", json={"name": name, "price_cents": 1}).status_code == 409
    changed = client.put(path, json={"name": name, "description": "blue", "price_cents": 950})
    assert changed.json() == {"id": created.json()["id"], "name": name, "description": "blue", "price_cents": 950}
    views = [client.get(path).json()["views"] for _ in range(3)]
    assert views == [views[0], views[0] + 1, views[0] + 2]
    assert client.delete(path).status_code == 204
    assert client.get(path).status_code == 404


def test_the_list_is_cached_until_a_product_changes(client: TestClient) -> None:
    created = client.post("/products", json={"name": f"Pot {uuid4()}", "price_cents": 1}).json()
    first, second = client.get("/products"), client.get("/products")
    assert (first.headers["x-cache"], second.headers["x-cache"]) == ("miss", "hit")
    assert first.json() == second.json()
    assert created["id"] in {product["id"] for product in first.json()}
    client.delete(f"/products/{created['id']}")
    third = client.get("/products")
    assert third.headers["x-cache"] == "miss"
    assert created["id"] not in {product["id"] for product in third.json()}


def test_both_lists_of_orders_say_the_same(client: TestClient) -> None:
    with counted_queries(client) as few:
        right = client.get("/orders?limit=10")
    with counted_queries(client) as many:
        wrong = client.get("/orders/n-plus-one?limit=10")
    assert right.json() == wrong.json()
    assert len(right.json()) == 10
    products = {item["product"] for order in right.json() for item in order["items"]}
    assert (len(few), len(many)) == (3, 1 + 10 + len(products))


def test_an_order_and_its_receipt(client: TestClient) -> None:
    product = client.get("/products").json()[0]
    item = {"product_id": product["id"], "quantity": 3}
    made = client.post("/orders", json={"customer": "Ann", "items": [item]})
    assert made.status_code == 201
    receipt = client.get(made.json()["receipt"]).json()
    assert (receipt["customer"], receipt["total_cents"]) == ("Ann", 3 * product["price_cents"])
    assert client.get(made.json()["receipt"] + "0").status_code == 403
    assert client.delete(f"/products/{product['id']}").status_code == 409
    missing = {"product_id": 10**6, "quantity": 1}
    assert client.post("/orders", json={"customer": "Ann", "items": [missing]}).status_code == 422


def test_a_receipt_needs_the_same_secret(client: TestClient) -> None:
    body = {"customer": "Ann", "items": [{"product_id": client.get("/products").json()[0]["id"], "quantity": 1}]}
    with (
        TestClient(create_app(Settings(secret_key=SecretStr("one")))) as one,
        TestClient(create_app(Settings(secret_key=SecretStr("one")))) as same,
        TestClient(create_app(Settings(secret_key=SecretStr("two")))) as other,
    ):
        receipt = one.post("/orders", json=body).json()["receipt"]
        assert [shop.get(receipt).status_code for shop in (one, same, other)] == [200, 200, 403]


@pytest.mark.parametrize("store", ["redis", "memcached"])
def test_stores(client: TestClient, store: str) -> None:
    path = f"/cache/{store}/{uuid4()}"
    assert client.get(path).status_code == 404
    assert client.put(path, content=b"\x00value").status_code == 204
    assert client.get(path).content == b"\x00value"
    assert client.put(path, content=b"x" * 70_000).status_code == 413


def test_caches_that_are_down_make_it_slower_not_broken(migrated: None) -> None:
    settings = Settings(redis_url=SecretStr("redis://127.0.0.1:1/0"), memcached_servers="127.0.0.1:1")
    with TestClient(create_app(settings)) as client:
        products = client.get("/products")
        product = client.get(f"/products/{products.json()[0]['id']}")
        created = client.post("/products", json={"name": f"Pot {uuid4()}", "price_cents": 1})
        assert client.delete(f"/products/{created.json()['id']}").status_code == 204
    assert (products.status_code, products.headers["x-cache"]) == (200, "miss")
    assert (product.status_code, product.json()["views"]) == (200, None)
