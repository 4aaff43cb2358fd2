"""The tables of the catalogue, their first rows, and the one statement of each endpoint.

Every answer made from the database says from which host, in the words of that host: `port` is the
port it listens on and `replica` whether it is in recovery.
"""

import json
from typing import Any

PRODUCTS = 24
TENANTS = ("acme", "globex", "initech", "umbrella")
USERS = tuple(f"user{number}" for number in range(32))

CREATE = f"""
CREATE TABLE tenants (
    id text PRIMARY KEY, theme text NOT NULL,
    version int NOT NULL DEFAULT 1, updated timestamptz NOT NULL DEFAULT now());
CREATE TABLE products (
    id int PRIMARY KEY, name text NOT NULL, price numeric(10, 2) NOT NULL,
    version int NOT NULL DEFAULT 1, updated timestamptz NOT NULL DEFAULT now());
CREATE TABLE stock (
    product int PRIMARY KEY REFERENCES products, amount int NOT NULL,
    version int NOT NULL DEFAULT 1, updated timestamptz NOT NULL DEFAULT now());
CREATE TABLE users (id text PRIMARY KEY);
CREATE TABLE logins (token text PRIMARY KEY, name text NOT NULL REFERENCES users);
INSERT INTO tenants (id, theme) SELECT unnest('{{{",".join(TENANTS)}}}'::text[]), 'light';
INSERT INTO users (id) SELECT unnest('{{{",".join(USERS)}}}'::text[]);
INSERT INTO products (id, name, price)
    SELECT n, 'Product ' || n, 10 FROM generate_series(1, {PRODUCTS}) n;
INSERT INTO stock (product, amount) SELECT n, 100 FROM generate_series(1, {PRODUCTS}) n;
"""

WHO = "inet_server_port() AS port, pg_is_in_recovery() AS replica"

TENANT = f"SELECT id, theme, version, updated, {WHO} FROM tenants WHERE id = %(tenant)s"
PRODUCT = f"SELECT id, name, price, version, updated, {WHO} FROM products WHERE id = %(id)s"
STOCK = f"SELECT product AS id, amount, version, updated, {WHO} FROM stock WHERE product = %(id)s"
LIST = f"SELECT id, name, price, version, updated, {WHO} FROM products ORDER BY id"
ME = f"SELECT name, {WHO} FROM logins WHERE token = %(token)s"
REPORT = f"""
SELECT count(*) AS products, sum(price * amount) AS value, {WHO}
FROM products JOIN stock ON product = id, pg_sleep(0.25)"""

PUT_TENANT = f"""
UPDATE tenants SET theme = %(theme)s, version = version + 1, updated = clock_timestamp()
WHERE id = %(tenant)s RETURNING id, theme, version, updated, {WHO}"""
PUT_PRODUCT = f"""
WITH sold AS (
    UPDATE stock SET amount = amount - 1, version = version + 1, updated = clock_timestamp()
    WHERE product = %(id)s)
UPDATE products SET price = %(price)s, version = version + 1, updated = clock_timestamp()
WHERE id = %(id)s RETURNING id, name, price, version, updated, {WHO}"""
LOGIN = f"""
INSERT INTO logins (token, name) SELECT %(token)s, id FROM users WHERE id = %(name)s
RETURNING name, token, {WHO}"""


def shape(row: dict[str, Any]) -> dict[str, Any]:
    """Make one row an answer: plain JSON values, and `served_by` from the database's own words."""
    port, replica = row.pop("port"), row.pop("replica")
    row["served_by"] = {"port": port, "replica": replica}
    return {name: _plain(value) for name, value in row.items()}


def shape_list(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Make the products one answer; they come from one statement, so from one host."""
    items = [shape(row) for row in rows]
    served = [item.pop("served_by") for item in items]
    return {"products": items, "served_by": served[0]}


def dumps(body: Any) -> bytes:
    """Spell an answer as both flavours do."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def _plain(value: Any) -> Any:
    """Dates as ISO 8601 and decimals as text; both have a natural spelling of their own."""
    if isinstance(value, str | int | bool | dict | None):
        return value
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
