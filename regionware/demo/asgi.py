"""The catalogue on Starlette; every handler is a coroutine.

```
uvicorn --factory regionware.demo.asgi:application
```
"""

import os
from collections.abc import Mapping
from secrets import token_hex
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import dict_row
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from regionware.demo import assets, policies, schema
from regionware.demo.layer import LONG_AGO, AsyncBare, AsyncLayer, Unpurged

_NOT_FOUND = {"error": "not found"}


async def _one(conn: AsyncConnection[Any], statement: str, **values: Any) -> dict[str, Any] | None:
    """Run one statement in one flight; the row as an answer, or `None`."""
    cursor = conn.cursor(row_factory=dict_row)
    await cursor.execute(statement, values)
    row = await cursor.fetchone()
    return None if row is None else schema.shape(row)


def _answer(row: dict[str, Any] | None) -> Response:
    """Send the row, or 404."""
    return JSONResponse(_NOT_FOUND, 404) if row is None else JSONResponse(row)


class Catalogue:
    """The handlers, over whatever layer they are given."""

    def __init__(self, layer: AsyncLayer) -> None:
        """Keep the layer."""
        self.layer = layer

    async def config(self, request: Request) -> Response:
        """`GET /tenants/{tenant}/config`."""
        async with self.layer.connection() as conn:
            return _answer(await _one(conn, schema.TENANT, **request.path_params))

    async def put_config(self, request: Request) -> Response:
        """`PUT /tenants/{tenant}/config` with `{"theme": …}`; purges the tenant."""
        theme, tenant = (await request.json())["theme"], request.path_params["tenant"]
        async with self.layer.connection(access="write") as conn:
            row = await _one(conn, schema.PUT_TENANT, theme=theme, tenant=tenant)
            await self.layer.apurge(tags=[f"tenant:{tenant}"])
        return _answer(row)

    async def products(self, _: Request) -> Response:
        """`GET /products`."""
        async with self.layer.connection() as conn:
            cursor = conn.cursor(row_factory=dict_row)
            await cursor.execute(schema.LIST)
            return JSONResponse(schema.shape_list(await cursor.fetchall()))

    async def product(self, request: Request) -> Response:
        """`GET /products/{id}`."""
        async with self.layer.connection() as conn:
            return _answer(await _one(conn, schema.PRODUCT, **request.path_params))

    async def put_product(self, request: Request) -> Response:
        """`PUT /products/{id}` with `{"price": …}`; sells one and purges the product."""
        price, number = (await request.json())["price"], request.path_params["id"]
        async with self.layer.connection(access="write") as conn:
            row = await _one(conn, schema.PUT_PRODUCT, price=price, id=number)
            await self.layer.apurge(tags=[f"product:{number}"])
        return _answer(row)

    async def put_race(self, request: Request) -> Response:
        """`PUT /race/{id}` with `{"coupled": …}`: a write whose purge has its position, or not."""
        coupled, number = (await request.json())["coupled"], request.path_params["id"]
        tags = [f"product:{number}"]
        async with self.layer.connection(access="write") as conn:
            row = await _one(conn, schema.PUT_PRODUCT, price="7.00", id=number)
            if coupled:
                await self.layer.apurge(tags=tags)
        if not coupled:
            await self.layer.apurge(tags=tags, after=LONG_AGO)
        return _answer(row)

    async def stock(self, request: Request) -> Response:
        """`GET /products/{id}/stock`."""
        async with self.layer.connection() as conn:
            return _answer(await _one(conn, schema.STOCK, **request.path_params))

    async def me(self, request: Request) -> Response:
        """`GET /me`: who logged in."""
        token = request.cookies.get("login", "")
        async with self.layer.connection() as conn:
            row = await _one(conn, schema.ME, token=token)
        return JSONResponse({"error": "log in first"}, 401) if row is None else _answer(row)

    async def login(self, request: Request) -> Response:
        """`POST /login` with `{"name": …}`; the answer sets the cookie `login`."""
        name = (await request.json())["name"]
        async with self.layer.connection(access="write") as conn:
            row = await _one(conn, schema.LOGIN, token=token_hex(16), name=name)
        if row is None:
            return JSONResponse({"error": "no such user"}, 403)
        token = row.pop("token")
        response = _answer(row)
        response.set_cookie("login", token, httponly=True, samesite="lax")
        return response

    async def report(self, _: Request) -> Response:
        """`GET /report`: slow, and made anew for everyone."""
        async with self.layer.connection() as conn:
            return _answer(await _one(conn, schema.REPORT))

    async def static(self, request: Request) -> Response:
        """`GET /static/app.<hash>.js`."""
        if request.path_params["name"] != assets.NAME:
            return JSONResponse(_NOT_FOUND, 404)
        return Response(assets.BODY, media_type=assets.TYPE)

    def routes(self) -> list[Route]:
        """Which handler answers what."""
        return [
            Route("/static/{name}", self.static),
            Route("/tenants/{tenant}/config", self.config, methods=["GET"]),
            Route("/tenants/{tenant}/config", self.put_config, methods=["PUT"]),
            Route("/products", self.products),
            Route("/products/{id:int}", self.product, methods=["GET"]),
            Route("/products/{id:int}", self.put_product, methods=["PUT"]),
            Route("/products/{id:int}/stock", self.stock),
            Route("/race/{id:int}", self.put_race, methods=["PUT"]),
            Route("/me", self.me),
            Route("/login", self.login, methods=["POST"]),
            Route("/report", self.report),
        ]


def application(environ: Mapping[str, str] = os.environ) -> Any:
    """The catalogue behind regionware, or without it on the database that `DEMO_BARE` names."""
    if database := environ.get("DEMO_BARE"):
        bare = AsyncBare(database)
        return Starlette(routes=Catalogue(bare).routes(), lifespan=bare.lifespan)
    rw = policies.middleware(environ)
    layer: AsyncLayer = Unpurged(rw) if environ.get("DEMO_UNPROTECTED") else rw
    return rw.asgi(Starlette(routes=Catalogue(layer).routes()))
