# SPDX-License-Identifier: GPL-3.0-or-later
"""The first products and orders, so that a new shop has something to show."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "INSERT INTO products (name, description, price_cents) "
        "SELECT 'Tea no. ' || n, '100 g, loose', 450 + 35 * n FROM generate_series(1, 20) AS n"
    )
    op.execute("INSERT INTO orders (customer) SELECT 'Customer ' || n FROM generate_series(1, 20) AS n")
    # Three different teas in each order.
    op.execute(
        "INSERT INTO order_items (order_id, product_id, quantity, price_cents) "
        "SELECT o.id, p.id, 1 + n, p.price_cents FROM orders AS o CROSS JOIN generate_series(0, 2) AS n "
        "JOIN products AS p ON p.name = 'Tea no. ' || (1 + (o.id + 7 * n) % 20)"
    )


def downgrade() -> None:
    # Whoever goes back here goes back to an empty shop.
    op.execute("DELETE FROM orders")
    op.execute("DELETE FROM products")
