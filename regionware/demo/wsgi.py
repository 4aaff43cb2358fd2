"""The catalogue on plain werkzeug; every handler is a function.

```
granian --interface wsgi --factory regionware.demo.wsgi:application
```
"""

import os
from collections.abc import Callable, Iterable, Mapping
from secrets import token_hex
from typing import TYPE_CHECKING, Any

from psycopg import Connection
from psycopg.rows import dict_row
from werkzeug.exceptions import HTTPException, NotFound
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from regionware.demo import assets, policies, schema
from regionware.demo.layer import LONG_AGO, Bare, Layer, Unpurged

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_RULES = (
    Rule("/static/<name>", endpoint="static", methods=["GET"]),
    Rule("/tenants/<tenant>/config", endpoint="config", methods=["GET"]),
    Rule("/tenants/<tenant>/config", endpoint="put_config", methods=["PUT"]),
    Rule("/products", endpoint="products", methods=["GET"]),
    Rule("/products/<int:number>", endpoint="product", methods=["GET"]),
    Rule("/products/<int:number>", endpoint="put_product", methods=["PUT"]),
    Rule("/products/<int:number>/stock", endpoint="stock", methods=["GET"]),
    Rule("/race/<int:number>", endpoint="put_race", methods=["PUT"]),
    Rule("/me", endpoint="me", methods=["GET"]),
    Rule("/login", endpoint="login", methods=["POST"]),
    Rule("/report", endpoint="report", methods=["GET"]),
)


def _json(body: Any, status: int = 200) -> Response:
    """Answer with JSON."""
    return Response(schema.dumps(body), status, mimetype="application/json")


def _one(conn: Connection[Any], statement: str, **values: Any) -> dict[str, Any]:
    """Run one statement in one flight; the row as an answer.

    Raises:
        NotFound: there is no row; werkzeug makes it a 404.
    """
    cursor = conn.cursor(row_factory=dict_row)
    row = cursor.execute(statement, values).fetchone()
    if row is None:
        raise NotFound
    return schema.shape(row)


class Catalogue:
    """The handlers, over whatever layer they are given; a WSGI application."""

    def __init__(self, layer: Layer) -> None:
        """Keep the layer, and compile the rules."""
        self.layer = layer
        self._map = Map([rule.empty() for rule in _RULES])

    def config(self, _: Request, tenant: str) -> Response:
        """`GET /tenants/{tenant}/config`."""
        with self.layer.connection() as conn:
            return _json(_one(conn, schema.TENANT, tenant=tenant))

    def put_config(self, request: Request, tenant: str) -> Response:
        """`PUT /tenants/{tenant}/config` with `{"theme": …}`; purges the tenant."""
        theme = request.get_json(force=True)["theme"]
        with self.layer.connection(access="write") as conn:
            row = _one(conn, schema.PUT_TENANT, theme=theme, tenant=tenant)
            self.layer.purge(tags=[f"tenant:{tenant}"])
        return _json(row)

    def products(self, _: Request) -> Response:
        """`GET /products`."""
        with self.layer.connection() as conn:
            rows = conn.cursor(row_factory=dict_row).execute(schema.LIST).fetchall()
        return _json(schema.shape_list(rows))

    def product(self, _: Request, number: int) -> Response:
        """`GET /products/{id}`."""
        with self.layer.connection() as conn:
            return _json(_one(conn, schema.PRODUCT, id=number))

    def put_product(self, request: Request, number: int) -> Response:
        """`PUT /products/{id}` with `{"price": …}`; sells one and purges the product."""
        price = request.get_json(force=True)["price"]
        with self.layer.connection(access="write") as conn:
            row = _one(conn, schema.PUT_PRODUCT, price=price, id=number)
            self.layer.purge(tags=[f"product:{number}"])
        return _json(row)

    def put_race(self, request: Request, number: int) -> Response:
        """`PUT /race/{id}` with `{"coupled": …}`: a write whose purge has its position, or not."""
        coupled, tags = request.get_json(force=True)["coupled"], [f"product:{number}"]
        with self.layer.connection(access="write") as conn:
            row = _one(conn, schema.PUT_PRODUCT, price="7.00", id=number)
            if coupled:
                self.layer.purge(tags=tags)
        if not coupled:
            self.layer.purge(tags=tags, after=LONG_AGO)
        return _json(row)

    def stock(self, _: Request, number: int) -> Response:
        """`GET /products/{id}/stock`."""
        with self.layer.connection() as conn:
            return _json(_one(conn, schema.STOCK, id=number))

    def me(self, request: Request) -> Response:
        """`GET /me`: who logged in."""
        token = request.cookies.get("login", "")
        with self.layer.connection() as conn:
            try:
                return _json(_one(conn, schema.ME, token=token))
            except NotFound:
                return _json({"error": "log in first"}, 401)

    def login(self, request: Request) -> Response:
        """`POST /login` with `{"name": …}`; the answer sets the cookie `login`."""
        name = request.get_json(force=True)["name"]
        with self.layer.connection(access="write") as conn:
            row = _one(conn, schema.LOGIN, token=token_hex(16), name=name)
        token = row.pop("token")
        response = _json(row)
        response.set_cookie("login", token, httponly=True, samesite="Lax")
        return response

    def report(self, _: Request) -> Response:
        """`GET /report`: slow, and made anew for everyone."""
        with self.layer.connection() as conn:
            return _json(_one(conn, schema.REPORT))

    def static(self, _: Request, name: str) -> Response:
        """`GET /static/app.<hash>.js`."""
        if name != assets.NAME:
            raise NotFound
        return Response(assets.BODY, mimetype=assets.TYPE)

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Find the handler, and answer."""
        try:
            endpoint, values = self._map.bind_to_environ(environ).match()
            handler: Callable[..., Response] = getattr(self, endpoint)
            return handler(Request(environ), **values)(environ, start_response)
        except HTTPException as error:
            return error(environ, start_response)


def application(environ: Mapping[str, str] = os.environ) -> Any:
    """The catalogue behind regionware, or without it on the database that `DEMO_BARE` names."""
    if database := environ.get("DEMO_BARE"):
        return Catalogue(Bare(database))
    rw = policies.middleware(environ)
    layer: Layer = Unpurged(rw) if environ.get("DEMO_UNPROTECTED") else rw
    return rw.wsgi(Catalogue(layer))
