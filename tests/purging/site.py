"""Workers in this process on one Redis, and the item that they all serve."""

from hashlib import sha1
from typing import Any

from regionware import Regionware
from regionware.caching.scripts import Script
from regionware.policies import Cache, Route
from tests.conformance.application import Application, text
from tests.conformance.harness import Site, until
from tests.rig import Rig

TAG = "item"
TAGGED = Route("/{path:path}", cache=Cache(ttl=300, tags=[TAG]))


class Item:
    """Something that the application answers with."""

    def __init__(self) -> None:
        self.version = 1
        self.app = Application(lambda _: text(str(self.version)))

    def site(self, rig: Rig, topology: Any, *routes: Route, **options: Any) -> Site:
        """A new worker's, once it has heard of its region."""
        rw = rig.worker(topology, *(routes or (TAGGED,)), **options)
        ready(rw)
        return rig.site(rw, self.app)


def ready(rw: Regionware) -> None:
    rw.start()
    until(lambda: rw.backplane is not None and rw.backplane.synced)


def version(site: Site, path: str = "/x") -> int:
    """What is answered."""
    return int(site.get(path).body)


def tier(site: Site, path: str = "/x") -> str:
    """Which tier answers."""
    return site.get(path).cache_status.get("detail", "")


def again(site: Site, path: str = "/x") -> str:
    """Which tier answers when this process has forgotten everything."""
    site.rw.memory.clear()
    return tier(site, path)


def warm(*sites: Site, path: str = "/x") -> None:
    """Have the item in Redis, and in each worker's memory."""
    for site in sites:
        until(lambda site=site: site.get(path) and tier(site, path) == "memory")  # type: ignore[misc]
    until(lambda: again(sites[0], path) == "redis")


def purge(rig: Rig, rw: Regionware, **words: Any) -> Any:
    """A purge of the item, in this protocol's manner."""
    words = {"tags": [TAG], "timeout": 20.0, **words}
    return rig.run(rw.apurge(**words)) if rig.flavour == "asgi" else rw.purge(**words)


def changed(script: Script, old: str, new: str) -> Script:
    """A script that does something else: for positive controls."""
    assert script.text.count(old) == 1
    text = script.text.replace(old, new)
    return Script(text, sha1(text.encode(), usedforsecurity=False).hexdigest())
