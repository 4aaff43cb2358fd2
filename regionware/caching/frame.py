"""How an entry travels: one binary record, versioned, with its key echoed. No I/O here, no pickle.

```
offset  octets  content
0       4       magic and version, "RWF1"
4       16      created: stamp, hexadecimal
20      16      fresh until: stamp, hexadecimal
36      24      lower bound: timeline and LSN, hexadecimal, zeros if unknown
60      24      upper bound, likewise
84      38      big-endian: flags (2), status (2), seconds of stale-while-revalidate (4) and of
                stale-if-error (4), age on arrival (4), lengths of key, tags, fields, host (4 each),
                and of the body (4); milliseconds that the application took (2), 0 if it is not
                refreshed early
122     ...     key (the variant's, where the response varies), tags, fields, host, body
end     4       CRC-32 of everything before; or
        16      HMAC-SHA256 of everything before, truncated, where entries are signed
```

The low octet of the flags is the entry's own. 0x8000 says that the frame is signed, which must be
what this process expects; 0x4000, that the body is one Zstandard frame that declares its size.

The first 84 octets are text of fixed width, so that a script in Redis can compare stamps and
positions as strings. They stay what they are in every later version, "RWF2" to "RWF9". Anything
unexpected, corrupted, foreign or of a later version, is `Unreadable`: a clean miss.
"""

import re
import struct
from dataclasses import dataclass
from typing import Literal

from regionware.caching import compression
from regionware.caching.entry import FLAGS, Fields
from regionware.caching.seal import CHECKSUM, SIGNED, Seal
from regionware.database.position import Position

MAGIC = b"RWF1"
#: The largest body that Redis is given, in bytes, and that is ever unpacked.
LARGEST = 4 << 20
#: The highest cost that a frame can tell, in milliseconds.
DEAREST = 0xFFFF

_PACKED = 1 << 14
_NUMBERS = struct.Struct(">HHIIIIIIIIH")
_PREFIX = 84
_START = _PREFIX + _NUMBERS.size
_NONE = b"0" * 24
_SEPARATOR = b"\0"
_LATER = re.compile(rb"RWF[2-9][0-9a-f]{80}")

#: Why a record is not read: its octets are not as they were written; it is another key's; it is
#: not signed as it must be; it is of a later version; nothing here can unpack it.
Flaw = Literal["damaged", "foreign", "signature", "later", "packed"]


class Unreadable(ValueError):
    """A record that is a miss."""

    def __init__(self, flaw: Flaw) -> None:
        """Keep the reason."""
        super().__init__(flaw)
        self.flaw: Flaw = flaw


@dataclass(slots=True)
class Frame:
    """An entry in transit: stamps in µs of the region's clock, spans in seconds, `cost` in ms.

    With `packed`, which is the body compressed, that is what travels.
    """

    material: bytes
    status: int
    headers: Fields
    body: bytes
    tags: tuple[str, ...]
    created: int
    fresh_until: int
    revalidate: int
    error: int
    age: int
    lower: Position | None
    upper: Position | None
    host: str
    flags: int = 0
    cost: int = 0
    packed: bytes = b""


def encode(frame: Frame, seal: Seal = CHECKSUM) -> bytes:
    """Write a frame; empty octets for what cannot be written, such as NUL in a field."""
    tags = _SEPARATOR.join(tag.encode("utf-8", "surrogateescape") for tag in frame.tags)
    fields = _SEPARATOR.join(part for pair in frame.headers for part in pair)
    if fields.count(_SEPARATOR) != max(2 * len(frame.headers) - 1, 0):
        return b""
    host = frame.host.encode()
    body = frame.packed or frame.body
    flags = frame.flags | seal.flag | (_PACKED if frame.packed else 0)
    record = b"".join((
        MAGIC,
        b"%016x%016x" % (frame.created, frame.fresh_until),
        _position(frame.lower),
        _position(frame.upper),
        _NUMBERS.pack(
            flags, frame.status, frame.revalidate, frame.error, frame.age,
            len(frame.material), len(tags), len(fields), len(host), len(body), frame.cost,
        ),
        frame.material, tags, fields, host, body,
    ))  # fmt: skip
    return record + seal.of(record)


def decode(data: bytes, material: bytes, seal: Seal = CHECKSUM) -> Frame | None:
    """Read a frame that must be for this key; `None` for anything else."""
    try:
        return read(data, material, seal)
    except Unreadable:
        return None


def read(data: bytes, material: bytes, seal: Seal = CHECKSUM) -> Frame:
    """Read a frame that must be for this key.

    Args:
        data: what the store has; nothing in it is believed before the seal holds.
        material: the key.
        seal: how frames end here.

    Raises:
        Unreadable: it is anything else.
    """
    try:
        return _read(data, material, seal)
    except Unreadable:
        raise
    except (ValueError, struct.error):
        raise Unreadable("damaged") from None


def stamp_of(data: bytes) -> int:
    """When a frame of any version was begun; it must have been found to be one."""
    return int(data[4:20], 16)


def material_of(data: bytes) -> bytes:
    """The key that a frame echoes, for who knows only its digest; empty if it is no frame.

    It is not to be believed before `read` has accepted the frame for it.
    """
    if data[:4] != MAGIC or len(data) < _START:
        return b""
    length: int = _NUMBERS.unpack_from(data, _PREFIX)[5]
    return data[_START : _START + length]


def _read(data: bytes, material: bytes, seal: Seal) -> Frame:
    if data[:4] != MAGIC:
        raise Unreadable("later" if _LATER.match(data) else "damaged")
    end = len(data) - seal.size
    numbers = _NUMBERS.unpack_from(data, _PREFIX)
    flags, status, revalidate, error, age, key, tags, fields, host, body, cost = numbers
    if flags & SIGNED != seal.flag:
        raise Unreadable("signature")
    if not seal.holds(data):
        raise Unreadable("signature" if seal.flag else "damaged")
    # From lengths to the places where the parts end.
    key += _START
    tags += key
    fields += tags
    host += fields
    body += host
    if flags & ~(FLAGS | SIGNED | _PACKED) or not 100 <= status <= 599 or body != end:
        raise Unreadable("damaged")
    if data[_START:key] != material:
        raise Unreadable("foreign")
    packed = data[host:body] if flags & _PACKED else b""
    return Frame(
        material, status, _pairs(data[tags:fields]),
        _unpacked(packed) if flags & _PACKED else data[host:body],
        _tags(data[key:tags]) if tags > key else (),
        int(data[4:20], 16), int(data[20:36], 16), revalidate, error, age,
        _read_position(data[36:60]), _read_position(data[60:84]), data[fields:host].decode(),
        flags & FLAGS, cost, packed,
    )  # fmt: skip


def _unpacked(packed: bytes) -> bytes:
    body = compression.unpack(packed, LARGEST)
    if body is None:
        raise Unreadable("damaged" if compression.AVAILABLE else "packed")
    return body


def _tags(data: bytes) -> tuple[str, ...]:
    return tuple(data.decode("utf-8", "surrogateescape").split("\0"))


def _pairs(fields: bytes) -> Fields:
    if not fields:
        return ()
    parts = fields.split(_SEPARATOR)
    if len(parts) % 2:
        raise ValueError("a field without its value")
    return tuple(zip(parts[::2], parts[1::2], strict=True))


def _position(position: Position | None) -> bytes:
    return _NONE if position is None else position.hex.encode()


def _read_position(text: bytes) -> Position | None:
    return None if text == _NONE else Position.from_hex(text.decode("ascii"))
