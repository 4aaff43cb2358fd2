"""A database of addresses, as a file: opened, tried out, and safe from what happens to the file.

A file that is mapped into memory and then shortened, as `cp new.mmdb old.mmdb` does, kills the
process that reads it (`SIGBUS`). So what is mapped is a private copy, without a name.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import IO, Final, Protocol

from regionware.errors import ConfigurationError

#: When it was changed (nanoseconds), which file it is, and its bytes: another one is another file.
Signature = tuple[int, int, int]

Address = IPv4Address | IPv6Address

#: How many addresses are looked up before a file is believed.
_TRIALS: Final = 64
#: An odd number that spreads addresses over all networks (Knuth's multiplicative hashing).
_SPREAD: Final = 2_654_435_761


class UnusableError(Exception):
    """What is there cannot be used."""


class Reader(Protocol):
    """What is asked of `maxminddb`."""

    def get_with_prefix_len(self, ip_address: Address, /) -> tuple[object, int]:
        """The record of an address, and the length of its network's prefix."""


class Database:
    """One file that was read.

    Attributes:
        signature: which one.
        reads_ipv6: it knows of addresses of 128 bits.
    """

    __slots__ = ("_reader", "reads_ipv6", "signature")

    def __init__(self, reader: Reader, signature: Signature, *, reads_ipv6: bool) -> None:
        """Keep it; it is closed when nobody uses it any more."""
        self._reader = reader
        self.signature = signature
        self.reads_ipv6 = reads_ipv6

    def look(self, address: Address) -> tuple[object, int]:
        """The record of an address, or `None`, and the length of its network's prefix.

        Raises:
            Exception: the file is damaged there.
        """
        if address.version == 6 and not self.reads_ipv6:
            return None, 0
        return self._reader.get_with_prefix_len(address)


def signature_of(path: str) -> Signature:
    """Which file is there now.

    Raises:
        UnusableError: none, or it cannot be read.
    """
    try:
        found = Path(path).stat()
    except OSError as error:
        raise UnusableError(error.strerror or "it cannot be read") from None
    return found.st_mtime_ns, found.st_ino, found.st_size


def load(path: str) -> Database:
    """Read a file, and try it out.

    Raises:
        ConfigurationError: `maxminddb` is not installed.
        UnusableError: there is no such file, it is no such database, or it is damaged.
    """
    signature = signature_of(path)
    try:
        with Path(path).open("rb") as file, _private(file) as copy:
            database = _open(copy, signature)
    except OSError as error:
        raise UnusableError(error.strerror or "it cannot be read") from None
    if signature_of(path) != signature:
        raise UnusableError("it was changed while it was read")
    _try_out(database)
    return database


@contextmanager
def _private(file: IO[bytes]) -> Iterator[str]:
    """The name of a copy that only this process has, for as long as it takes to open it."""
    try:
        copy = tempfile.NamedTemporaryFile(prefix="regionware-")  # noqa: SIM115 - below
    except OSError:
        if not hasattr(os, "memfd_create"):
            raise
        # No folder can be written, as in many containers: then in memory.
        with os.fdopen(os.memfd_create("regionware-mmdb"), "wb") as kept:
            shutil.copyfileobj(file, kept)
            kept.flush()
            yield f"/proc/self/fd/{kept.fileno()}"
        return
    with copy:
        shutil.copyfileobj(file, copy)
        copy.flush()
        yield copy.name


def _open(path: str, signature: Signature) -> Database:
    try:
        import maxminddb  # noqa: PLC0415 - the extra
        from maxminddb.const import MODE_MEMORY, MODE_MMAP_EXT  # noqa: PLC0415 - the extra
    except ImportError:
        raise ConfigurationError("GeoIP needs maxminddb: install regionware[geo]") from None
    built = hasattr(getattr(maxminddb, "_extension", None), "Reader")
    try:
        reader = maxminddb.open_database(path, MODE_MMAP_EXT if built else MODE_MEMORY)
    except Exception as error:  # noqa: BLE001 - of a damaged file anything
        raise UnusableError(
            f"it is no MaxMind database: {error}".replace(path, "the file")
        ) from None
    return Database(reader, signature, reads_ipv6=reader.metadata().ip_version == 6)


def _try_out(database: Database) -> None:
    """Look up some addresses, spread over all: a damaged tree is seen here, not by a client."""
    try:
        for number in range(_TRIALS):
            low = (number * _SPREAD + 0x01010101) % (1 << 32)
            database.look(IPv4Address(low))
            database.look(IPv6Address((0x2001 << 112) | (low << 84)))
    except Exception as error:  # noqa: BLE001 - of a damaged file anything
        raise UnusableError(f"it is damaged: {error}") from None
