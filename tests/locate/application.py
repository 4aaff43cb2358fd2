"""An application for a real server: tells what it was told of the client."""

from typing import Any

import regionware
from regionware import Region, Regionware, Topology
from regionware.locate import Header, Ingress

TOPOLOGY = Topology(here="iad", regions=[Region("iad", primary=True), Region("fra"), Region("sin")])
PROVIDERS = [Header("X-Region")]


async def tell(scope: Any, receive: Any, send: Any) -> None:
    """One line: the region, the client's address, its source, and whether the header came."""
    if scope["type"] != "http":
        return
    state = regionware.current()
    assert state is not None
    came = any(name == b"x-region" for name, _ in scope["headers"])
    line = f"{state.region.name} {state.client} {state.client.source} {came}"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": line.encode()})


#: `10.0.0.7` is a proxy, which nobody here can be; so is whoever asks from this machine.
cautious = Regionware(topology=TOPOLOGY, region=PROVIDERS, trusted=["10.0.0.7", "127.0.0.1"]).asgi(
    tell
)
ready = Regionware(
    topology=TOPOLOGY,
    region=PROVIDERS,
    trusted=[Ingress("127.0.0.1", rewritten=True, headers=["X-Region"])],
).asgi(tell)
