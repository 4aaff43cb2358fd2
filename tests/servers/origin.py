"""An origin that answers as it is told, one prescribed response after the other.

`PUT /NAME` prescribes, `GET /NAME?log` tells what was asked. Anything else is answered by the next
response of NAME, the last one again and again; `null` closes the connection.
"""

import asyncio
import json
import sys
from email.utils import formatdate
from typing import Any


class Script:
    """The responses of one name, and the requests that came."""

    def __init__(self, responses: list[dict[str, Any] | None]) -> None:
        self.responses = responses
        self.log: list[dict[str, Any]] = []

    def answer(self, method: str, fields: dict[str, str]) -> bytes | None:
        self.log.append({"method": method, **fields})
        number = len(self.log)
        told = self.responses[min(number, len(self.responses)) - 1]
        if told is None:
            return None
        status, body = told.get("status", 200), told.get("body", str(number)).encode()
        if told.get("validates") and "if-none-match" in fields:
            status = 304
        head = [f"{name}: {value}" for name, value in told.get("fields", {}).items()]
        head.append(f"Date: {formatdate(usegmt=True)}")
        if status == 304:
            body = b""
        else:
            head.append(f"Content-Length: {len(body)}")
        return _message(status, head) + (b"" if method == "HEAD" else body)


def _message(status: int, head: list[str]) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status} Told", *head, "", ""]).encode("latin-1")


class Origin:
    """All scripts."""

    def __init__(self) -> None:
        self.scripts: dict[str, Script] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (answer := await self._next(reader)) is not None:
                writer.write(answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _next(self, reader: asyncio.StreamReader) -> bytes | None:
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ")
        pairs = (line.partition(":") for line in lines if line)
        fields = {name.lower(): value.strip() for name, _, value in pairs}
        content = await reader.readexactly(int(fields.get("content-length", "0")))
        path, _, query = target.partition("?")
        if method == "PUT":
            self.scripts[path] = Script(json.loads(content))
            return _message(204, [])
        if query == "log":
            told = json.dumps(self.scripts[path].log).encode()
            return _message(200, [f"Content-Length: {len(told)}"]) + told
        return self.scripts[path].answer(method, fields)


async def main(port: int) -> None:
    server = await asyncio.start_server(Origin().serve, "127.0.0.1", port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
