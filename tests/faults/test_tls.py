"""`rediss://`: real handshakes, with certificates that are to be believed, and with others."""

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import trustme

from regionware.parts.redis import RedisServer
from tests.conformance.application import DEADLINE, Application, text
from tests.conformance.harness import Loop, until
from tests.rig import Client, Rig, tier_of

_PIECE = 65_536
#: A body of many records of TLS.
LARGE = "large " * 150_000


class Terminator:
    """Speaks TLS on a port of 127.0.0.1, and plainly to the server behind it, as stunnel does.

    Attributes:
        port: where it listens.
        told: how many connections have said something to the server.
    """

    def __init__(self, loop: Loop, target: int, context: ssl.SSLContext) -> None:
        self.told = 0
        self._loop, self._target, self._context = loop, target, context
        self._server: asyncio.Server | None = None
        asyncio.run_coroutine_threadsafe(self._start(), loop.loop).result(DEADLINE)

    async def _start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._context)
        self.port: int = self._server.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            # A client of TLS 1.3 may refuse the certificate after the handshake has ended here.
            if not (first := await reader.read(_PIECE)):
                return
            self.told += 1
            back, to = await asyncio.open_connection("127.0.0.1", self._target)
            to.write(first)
            await asyncio.gather(_pump(reader, to), _pump(back, writer))
        writer.close()

    def close(self) -> None:
        """Take no more; what is open ends with its clients."""
        assert self._server is not None
        self._loop.loop.call_soon_threadsafe(self._server.close)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(_PIECE):
            writer.write(data)
            await writer.drain()
    writer.close()


def certified(authority: trustme.CA, name: str) -> ssl.SSLContext:
    """What a server with a certificate of this name needs."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Who is to be believed."""
    return trustme.CA()


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path) -> str:
    """The option that says so."""
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(path))
    return f"ssl_ca_certs={path}"


class Secured:
    """Puts a terminator before the region's server."""

    def __init__(self, loop: Loop, server: RedisServer) -> None:
        self._loop, self._server = loop, server
        self.made: list[Terminator] = []

    def by(self, context: ssl.SSLContext) -> tuple[Terminator, str]:
        """One with this certificate, and its URL."""
        self.made.append(Terminator(self._loop, self._server.port, context))
        return self.made[-1], f"rediss://127.0.0.1:{self.made[-1].port}/{self._server.database}"


@pytest.fixture
def secured(loop: Loop, redis_server: RedisServer, redis_url: str) -> Iterator[Secured]:
    """The region's server, emptied."""
    assert redis_url.startswith("redis://")  # itself it speaks no TLS
    found = Secured(loop, redis_server)
    yield found
    for each in found.made:
        each.close()


def client(rig: Rig, url: str) -> tuple[Client, Application]:
    """A client of a new worker that has time for its handshakes."""
    app = Application(lambda seen: text(LARGE if seen.path == "/large" else seen.path))
    rw = rig.worker(url)
    tier = tier_of(rw)
    tier._deadline = DEADLINE  # a busy machine is no missing Redis
    tier.forget()
    return Client(rig.site(rw, app)), app


def test_a_trusted_server_is_used(
    rig: Rig, secured: Secured, authority: trustme.CA, trusted: str
) -> None:
    terminator, url = secured.by(certified(authority, "127.0.0.1"))
    asker, app = client(rig, f"{url}?{trusted}")
    asker.wait_for_redis()
    rw = asker.site.rw
    log = rw._parts.rim._log
    assert log is not None
    until(log.synced.is_set)
    assert terminator.told >= 2  # for look-ups, and to read the log
    for _ in range(3):
        rw.memory.clear()
        assert asker.site.get("/large").body.decode() == LARGE
    assert [seen.path for seen in app.calls].count("/large") == 1
    what: dict[str, Any] = {"urls": ["/large"], "timeout": DEADLINE}
    rig.run(rw.apurge(**what)) if rig.flavour == "asgi" else rw.purge(**what)
    assert asker.site.get("/large").body.decode() == LARGE
    assert [seen.path for seen in app.calls].count("/large") == 2


@pytest.mark.parametrize("why", ["of another authority", "of another name"])
def test_an_untrusted_server_is_told_nothing(
    rig: Rig, secured: Secured, authority: trustme.CA, trusted: str, why: str
) -> None:
    """No command reaches it, no password either; and every request is answered."""
    signer = trustme.CA() if why == "of another authority" else authority
    name = "127.0.0.1" if signer is not authority else "redis.example"
    terminator, url = secured.by(certified(signer, name))
    asker, _ = client(rig, f"{url}?{trusted}")
    for _ in range(3):
        asker.ask()
    assert terminator.told == 0
    # The positive control: whoever asks not to be protected is not.
    careless, _ = client(rig, f"{url}?ssl_cert_reqs=none&ssl_check_hostname=false")
    careless.wait_for_redis()
    assert terminator.told > 0
