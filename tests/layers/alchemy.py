"""One small application over SQLAlchemy's sessions: Flask over threads, Starlette in a loop.

`GET /items/7` reads; `PUT /items/7?value=3` writes. Further words of the query say how.
"""

from typing import Any

from flask import Flask, request
from sqlalchemy import text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route as Path

from regionware import Regionware
from regionware.adapters.sqlalchemy import AsyncEngines, Engines, RoutedSession

WHERE = text("SELECT pg_is_in_recovery()")
LATE = text("INSERT INTO parts_of_goods VALUES (-1)")


class Base(DeclarativeBase):
    """The tables."""


class Item(Base):
    """A thing with a value."""

    __tablename__ = "goods"
    id: Mapped[int] = mapped_column(primary_key=True)
    value: Mapped[int]


def change(session: Session, number: int, words: Any, rw: Regionware) -> None:
    """What a request that writes does before its commit; the same for both kinds of sessions."""
    if "early" in words:
        # Nothing was sent, and no connection taken: the transaction is open all the same.
        session.add(Item(id=-1, value=0))
        session.expunge_all()
        rw.purge(tags=[f"item:{number}"])
    if "blind" in words:
        session.execute(update(Item).where(Item.id == number).values(value=int(words["value"])))
        return
    item = session.get(Item, number)
    assert item is not None
    item.value = int(words["value"])
    if "savepoint" in words:
        with session.begin_nested():
            session.flush()
    if "refused" in words:
        session.execute(LATE)
    if "purge" in words:
        session.flush()
        rw.purge(tags=[f"item:{number}"])


def note(error: DBAPIError) -> dict[str, Any]:
    return {
        "error": getattr(error.orig, "sqlstate", None),
        "notes": getattr(error, "__notes__", []),
    }


class Threads:
    """The application over WSGI."""

    def __init__(self, rw: Regionware) -> None:
        self.rw = rw
        self.engines = Engines(rw.selector)
        self.sessions = sessionmaker(class_=RoutedSession, engines=self.engines)
        self.app = Flask("alchemy")
        for kind in ("items", "cached", "strong", "fail", "escalate"):
            self.app.add_url_rule(f"/{kind}/<int:number>", kind, self.read, methods=["GET"])
            self.app.add_url_rule(
                f"/{kind}/<int:number>", f"put-{kind}", self.write, methods=["PUT"]
            )
        self.wrapped = rw.wsgi(self.app)

    def read(self, number: int) -> Any:
        with self.sessions() as session:
            try:
                if "value" in request.args:
                    change(session, number, request.args, self.rw)
                    session.commit()
                item = session.get(Item, number)
                assert item is not None
                return {"value": item.value, "replica": session.scalar(WHERE)}
            except DBAPIError as error:
                return note(error), 409

    def write(self, number: int) -> Any:
        times = int(request.args.get("times", 1))
        with self.sessions() as session:
            try:
                for _ in range(times):
                    change(session, number, request.args, self.rw)
                    if "rollback" in request.args:
                        session.rollback()
                        return {"rolled back": True}
                    session.commit()
            except DBAPIError as error:
                return note(error), 409
        return {"written": True}


class Loops:
    """The application over ASGI."""

    def __init__(self, rw: Regionware) -> None:
        self.rw = rw
        self.engines = AsyncEngines(rw.selector)
        self.sessions: async_sessionmaker[AsyncSession] = async_sessionmaker(
            sync_session_class=RoutedSession, engines=self.engines
        )
        paths = []
        for kind in ("items", "cached", "strong", "fail", "escalate"):
            paths.append(Path(f"/{kind}/{{number:int}}", self.read, methods=["GET"]))
            paths.append(Path(f"/{kind}/{{number:int}}", self.write, methods=["PUT"]))
        self.app = Starlette(routes=paths)
        self.wrapped = rw.asgi(self.app)

    async def read(self, asked: Request) -> Any:
        number, words = asked.path_params["number"], asked.query_params
        async with self.sessions() as session:
            try:
                if "value" in words:
                    await session.run_sync(change, number, words, self.rw)
                    await session.commit()
                item = await session.get(Item, number)
                assert item is not None
                return JSONResponse({"value": item.value, "replica": await session.scalar(WHERE)})
            except DBAPIError as error:
                return JSONResponse(note(error), 409)

    async def write(self, asked: Request) -> Any:
        number, words = asked.path_params["number"], asked.query_params
        if "background" in words:
            return JSONResponse({}, background=BackgroundTask(self._change, number, words))
        try:
            return JSONResponse(await self._change(number, words))
        except DBAPIError as error:
            return JSONResponse(note(error), 409)

    async def _change(self, number: int, words: Any) -> dict[str, bool]:
        async with self.sessions() as session:
            for _ in range(int(words.get("times", 1))):
                await session.run_sync(change, number, words, self.rw)
                if "rollback" in words:
                    await session.rollback()
                    return {"rolled back": True}
                await session.commit()
        return {"written": True}
