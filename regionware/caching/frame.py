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
                and of the body (4); 2 reserved
122     ...     key, tags, fields, host, body
end     4       CRC-32 of everything before
```

The first 84 octets are text of fixed width, so that a script in Redis can compare stamps and
positions as strings. Anything unexpected, corrupted, foreign or of a later version, reads as
`None`: a clean miss.
"""

import struct
from dataclasses import dataclass
from zlib import crc32

from regionware.caching.entry import FLAGS, Fields
from regionware.database.position import Position

MAGIC = b"RWF1"
_CHECK = struct.Struct(">I")
_NUMBERS = struct.Struct(">HHIIIIIIII2x")
_PREFIX = 84
_START = _PREFIX + _NUMBERS.size
_NONE = b"0" * 24
_SEPARATOR = b"\0"


@dataclass(slots=True)
class Frame:
    """An entry in transit. Stamps are in microseconds of the region's clock; spans in seconds."""

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


def encode(frame: Frame) -> bytes:
    """Write a frame; empty octets for what cannot be written, such as NUL in a field."""
    tags = _SEPARATOR.join(tag.encode("utf-8", "surrogateescape") for tag in frame.tags)
    fields = _SEPARATOR.join(part for pair in frame.headers for part in pair)
    if fields.count(_SEPARATOR) != max(2 * len(frame.headers) - 1, 0):
        return b""
    host = frame.host.encode()
    record = b"".join((
        MAGIC,
        b"%016x%016x" % (frame.created, frame.fresh_until),
        _position(frame.lower),
        _position(frame.upper),
        _NUMBERS.pack(
            frame.flags, frame.status, frame.revalidate, frame.error, frame.age,
            len(frame.material), len(tags), len(fields), len(host), len(frame.body),
        ),
        frame.material, tags, fields, host, frame.body,
    ))  # fmt: skip
    return record + _CHECK.pack(crc32(record))


def decode(data: bytes, material: bytes) -> Frame | None:
    """Read a frame that must be for this key; `None` for anything else."""
    try:
        return _decode(data, material)
    except (ValueError, struct.error, UnicodeDecodeError):
        return None


def material_of(data: bytes) -> bytes:
    """The key that a frame echoes, for who knows only its digest; empty if it is no frame.

    It is not to be believed before `decode` has accepted the frame for it.
    """
    if data[:4] != MAGIC or len(data) < _START:
        return b""
    length: int = _NUMBERS.unpack_from(data, _PREFIX)[5]
    return data[_START : _START + length]


def _decode(data: bytes, material: bytes) -> Frame | None:
    end = len(data) - _CHECK.size
    if data[:4] != MAGIC or _CHECK.unpack_from(data, end)[0] != crc32(memoryview(data)[:end]):
        return None
    flags, status, revalidate, error, age, key, tags, fields, host, body = _NUMBERS.unpack_from(
        data, _PREFIX
    )
    # From lengths to the places where the parts end.
    key += _START
    tags += key
    fields += tags
    host += fields
    body += host
    if flags & ~FLAGS or not 100 <= status <= 599 or body != end:
        return None
    if data[_START:key] != material:
        return None
    return Frame(
        material, status, _pairs(data[tags:fields]), data[host:body],
        _tags(data[key:tags]) if tags > key else (),
        int(data[4:20], 16), int(data[20:36], 16), revalidate, error, age,
        _read_position(data[36:60]), _read_position(data[60:84]), data[fields:host].decode(), flags,
    )  # fmt: skip


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
