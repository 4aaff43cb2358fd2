"""The application that is audited, in this process, with its cache cut off from all others."""

import asyncio
import inspect
from collections.abc import Sequence
from contextlib import suppress
from types import ModuleType, TracebackType
from typing import Any, Final, Self

from regionware.adapters.asgi import AsgiMiddleware
from regionware.adapters.wsgi import WsgiMiddleware
from regionware.auditing.inputs import Field, Input
from regionware.errors import ConfigurationError
from regionware.middleware import Regionware
from regionware.prepared import Prepared
from regionware.rim import Rim
from regionware.testing.calling import Answer, Request, call_asgi, call_wsgi, protocol_of

#: RFC 5737: nobody's address, so that no example is asked for by a trusted peer.
STRANGER: Final = "192.0.2.1"
#: Seconds for an application to say that it has started.
_STARTUP: Final = 60.0


def rim_of(app: Any, module: ModuleType | None, rw: Regionware | None) -> Rim:
    """The `Regionware` around an application, or inside it.

    Raises:
        ConfigurationError: it cannot be told which one it is.
    """
    if rw is not None:
        return rw._rim  # noqa: SLF001 - the composition root hands it to adapters, and to us
    if isinstance(app, (AsgiMiddleware, WsgiMiddleware)):
        return app._rim  # noqa: SLF001 - likewise
    found = {id(v): v for v in vars(module).values() if isinstance(v, Regionware)} if module else {}
    if len(found) != 1:
        raise ConfigurationError(
            "audit: which Regionware is in the application? Name it: --regionware module:rw"
        )
    return next(iter(found.values()))._rim  # noqa: SLF001 - likewise


def isolate(rim: Rim) -> None:
    """Nothing that is asked here is stored in a Redis, or read from it; nothing is left to chance.

    It is for a process that does nothing else.
    """
    rim.tier = rim._log = None  # noqa: SLF001 - the only place that takes a worker apart
    rim.relays, rim.outboxes, rim._chores = [], (), ()  # noqa: SLF001 - likewise
    rim.prepared.has_redis = False
    rim.prepared.fences.heard_until = float("inf")
    rim.prepared.random = lambda: 0.0


class Target:
    """An application that can be asked. A context manager: it is started, and ended."""

    def __init__(self, app: Any, rim: Rim, *, host: str, headers: Sequence[Field] = ()) -> None:
        """Isolate it; start nothing yet.

        Args:
            app: ASGI 3 or WSGI, with the `Regionware` around it or inside.
            rim: of that `Regionware`.
            host: the `Host` of every request.
            headers: fields of every request.
        """
        isolate(rim)
        self._app = app
        self._rim = rim
        self._base: tuple[Field, ...] = (("Host", host), *headers)
        self._asgi = protocol_of(app) == "asgi"
        self._runner = asyncio.Runner()
        self._lifespan = _Lifespan(app) if self._asgi else None

    @property
    def prepared(self) -> Prepared:
        """The decisions' parts."""
        return self._rim.prepared

    @property
    def host(self) -> str:
        """Of every request."""
        return self._base[0][1]

    def __enter__(self) -> Self:
        """Start the application, if it has something to start."""
        if self._lifespan is not None:
            self._runner.run(self._lifespan.start())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it."""
        if self._lifespan is not None:
            self._runner.run(self._lifespan.stop())
        self._runner.run(self._rim.aclose())
        self._runner.close()

    def cold(self, path: str, *by: Input) -> Answer:
        """The answer when nothing is stored."""
        self.forget()
        return self.ask(path, *by)

    def forget(self) -> None:
        """Store nothing any more."""
        self._rim.memory.clear()

    def ask(self, path: str, *by: Input) -> Answer:
        """The answer to a GET that is varied by these inputs."""
        headers, peer = dict(self._base), STRANGER
        cookies = [headers["Cookie"]] if "Cookie" in headers else []
        for each in by:
            headers |= dict(each.headers)
            cookies += [each.cookie] if each.cookie else []
            peer = each.peer or peer
            if each.query:
                path += ("&" if "?" in path else "?") + each.query
        if cookies:
            headers["Cookie"] = "; ".join(cookies)
        request = Request(path, headers=headers, peer=peer)
        if self._asgi:
            return self._runner.run(call_asgi(self._app, request))
        return call_wsgi(self._app, request)


class _Lifespan:
    """The start and the end of an ASGI application, if it takes part in that."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._told: asyncio.Queue[str] = asyncio.Queue()
        self._heard: asyncio.Queue[str] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start it.

        Raises:
            ConfigurationError: it says that it cannot start.
        """
        self._task = asyncio.create_task(self._run())
        await self._told.put("lifespan.startup")
        answer = await asyncio.wait_for(self._heard.get(), _STARTUP)
        if answer == "lifespan.startup.failed":
            raise ConfigurationError("audit: the application has not started")

    async def stop(self) -> None:
        """End it."""
        if self._task is not None and not self._task.done():
            await self._told.put("lifespan.shutdown")
            await asyncio.wait_for(self._heard.get(), _STARTUP)
            await self._task

    async def _run(self) -> None:
        async def receive() -> dict[str, str]:
            return {"type": await self._told.get()}

        async def send(message: Any) -> None:
            await self._heard.put(message["type"])

        scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
        # An application that knows no lifespan raises, or returns.
        with suppress(Exception):
            done = self._app(scope, receive, send)
            if inspect.isawaitable(done):
                await done
        await self._heard.put("ended")
