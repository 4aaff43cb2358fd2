"""A client's address, looked up in a MaxMind database (`.mmdb`). Needs the extra `geo`.

A request only looks something up. Whether there is a new file is asked in the background; it takes
the place of the old one when it has been read and tried out, and not before.
"""

import logging
import os
from collections.abc import Callable
from ipaddress import ip_address
from os import PathLike
from threading import Event as Stop
from typing import Final, TypeVar

from regionware.caching.chore import Chore
from regionware.errors import ConfigurationError
from regionware.http.request import Request
from regionware.kinds import TEXT, Kind, number
from regionware.locate.address import address_of
from regionware.locate.claim import Claim
from regionware.locate.geofile import Address, Database, UnusableError, load, signature_of
from regionware.locate.georecord import claim_of
from regionware.observe import Event

_PATH: Final = Kind("a text or a path", lambda value: TEXT.fits(_text(value)))
_EVERY: Final = number("seconds", 0.01, 86_400)
#: Addresses, and networks, that are remembered: a scan must not fill the memory.
_REMEMBERED: Final = 8192

K = TypeVar("K")

_log = logging.getLogger("regionware.locate")


class _Known:
    """One database, and what was found in it; replaced as a whole."""

    __slots__ = ("addresses", "database", "networks")

    def __init__(self, database: Database) -> None:
        self.database = database
        self.addresses: dict[str, Claim | None] = {}
        #: By the length of the prefix, and the prefix: all of a network share one claim.
        self.networks: dict[tuple[int, int, int], Claim | None] = {}

    def find(self, text: str) -> Claim | None:
        """The claim of an address.

        Raises:
            ValueError: it is none.
            Exception: the file is damaged there.
        """
        address: Address = ip_address(text)
        mapped = address.ipv4_mapped if address.version == 6 else None
        address = address if mapped is None else mapped
        record, prefix = self.database.look(address)
        bits = address.max_prefixlen
        network = address.version, prefix, int(address) >> max(0, bits - prefix)
        try:
            return self.networks[network]
        except KeyError:
            # Kept in hand: another thread may clear them meanwhile.
            claim = claim_of(record)
        _put(self.networks, network, claim)
        return claim

    def remember(self, text: str, claim: Claim | None) -> None:
        """Keep what was found for an address."""
        if len(text) <= 64:
            _put(self.addresses, text, claim)


class GeoIP:
    """The client's address looked up in a file of MaxMind's format: GeoLite2, DB-IP, IPinfo, ….

    It is derived: beyond what a client can say of itself, and as right as the file is. The address
    is that of the peer, or the one that trusted proxies have forwarded.

    Attributes:
        by_distance: what it tells is of no use where no region has a location.
    """

    __slots__ = ("__weakref__", "_complained", "_every", "_failed", "_known", "_path", "_watches")

    by_distance: Final = True

    def __init__(self, path: str | PathLike[str], *, every: float = 30.0) -> None:
        """Read the file.

        Args:
            path: the file. Replace it as you like, best by a rename: a process reads a copy.
            every: seconds between two looks at it, 0.01 to 86,400.

        Raises:
            ConfigurationError: it is not there or cannot be used, or `maxminddb` is not installed.
        """
        _PATH.check("GeoIP: path", path)
        self._path = os.fspath(path)
        _EVERY.check("GeoIP: every", every)
        self._every = every
        try:
            self._known = _Known(load(self._path))
        except UnusableError as error:
            raise ConfigurationError(f"GeoIP: path {self._path!r}: {error}") from None
        self._failed: object = None
        self._complained = False
        self._watches: tuple[Watch, ...] = ()

    def __call__(self, request: Request, /) -> Claim | None:
        """What the file tells of the client's address, `None` where that is nothing."""
        text = address_of(request)
        if text is None:
            return None
        known = self._known
        try:
            return known.addresses[text]
        except KeyError:
            return self._look(known, text)

    def _look(self, known: _Known, text: str) -> Claim | None:
        for watch in self._watches:
            watch.start()  # the first lookup after a fork; costs nothing when it runs
        try:
            claim = known.find(text)
        except ValueError:
            claim = None  # no address: a server tells odd peers in its own words
        except Exception as error:  # noqa: BLE001 - of a damaged file anything
            self._complain(error)
            return None
        known.remember(text, claim)
        return claim

    def _complain(self, error: Exception) -> None:
        if not self._complained:
            self._complained = True
            _log.warning("GeoIP %s is damaged; the next provider is asked: %s", self._path, error)

    def check(self) -> str:
        """Look at the file, and read it if it is another one.

        Returns:
            `same`, `reloaded`, or `failed`: then the last good one is used further.
        """
        try:
            signature = signature_of(self._path)
            if signature == self._known.database.signature:
                self._failed = None
                return "same"
            if signature == self._failed:
                return "same"  # it has failed already
            self._known = _Known(load(self._path))
        except (UnusableError, ConfigurationError) as error:
            return self._fail(str(error))
        self._failed, self._complained = None, False
        _log.info("GeoIP %s was replaced", self._path)
        return "reloaded"

    def _fail(self, why: str) -> str:
        """Say once that a file cannot be used: the same one is not read again."""
        try:
            failed: object = signature_of(self._path)
        except UnusableError:
            failed = "gone"
        if failed == self._failed:
            return "same"
        if self._failed is None:
            _log.warning("GeoIP %s: %s; the last good one is used", self._path, why)
        self._failed = failed
        return "failed"

    def watch(self, tell: Callable[[Event], None]) -> "Watch":
        """What looks at the file in the background, once it is started.

        Args:
            tell: is told of each new file, and of each that cannot be used.
        """
        watch = Watch(self, self._every, tell)
        self._watches = (*self._watches, watch)
        return watch

    def unwatch(self, watch: "Watch") -> None:
        """Let lookups start it no more."""
        self._watches = tuple(each for each in self._watches if each is not watch)

    def __repr__(self) -> str:
        """As it is written in a configuration."""
        return f"GeoIP({self._path!r})"


class Watch(Chore):
    """Looks at the file of one `GeoIP` again and again."""

    def __init__(self, geoip: GeoIP, every: float, tell: Callable[[Event], None]) -> None:
        """Start nothing yet."""
        super().__init__("regionware-geoip")
        self._geoip = geoip
        self._every = every
        self._tell = tell

    def stop(self) -> None:
        """End it."""
        self._geoip.unwatch(self)
        super().stop()

    def run(self, stop: Stop) -> None:
        """Look until the end."""
        while not stop.wait(self._every):
            found = self._geoip.check()
            if found == "reloaded":
                self._tell(Event("geoip-reloaded"))
            elif found == "failed":
                self._tell(Event("geoip-failed"))


def _text(value: object) -> object:
    return os.fspath(value) if isinstance(value, PathLike) else value


def _put(kept: dict[K, Claim | None], key: K, claim: Claim | None) -> None:
    if len(kept) >= _REMEMBERED:
        kept.clear()
    kept[key] = claim
