"""From the names of fences to batches that an edge takes. No I/O here.

A hard purge wins over a soft one of the same name. What is asked for twice is asked for once.
Whatever an edge cannot do is said, never left out in silence.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Final
from urllib.parse import quote

from regionware.adapters.edges.protocol import Capabilities, EdgePurge
from regionware.caching.coherence import EVERYTHING
from regionware.database.purge_sql import MARK

#: How tags are written for a vendor: `edge_tags`, with the vendor already said.
Written = Callable[[Sequence[str]], Iterable[str]]

#: An absolute URL, or a path for every host, as fences name them: decoded, but for the query.
#: No answer that is kept has another host, or a dot segment: as part of a vendor's URL these would
#: lead elsewhere there.
_URL: Final = re.compile(
    r"((?:https?://[a-z0-9._\[\]:-]+)?)((?:/(?!\.\.?(?:/|\?|\Z))[^/?]*)+)(\?.*)?", re.DOTALL
)
#: What is said of a URL that is none of these.
UNKNOWN: Final = "URLs of more than 255 characters, or that nothing is kept under"
#: `*` stands for anything at some edges, so it is always encoded.
_IN_PATH: Final = "/:@!$&'()+,;=~-._"
_IN_QUERY: Final = _IN_PATH + "?%"


@dataclass(frozen=True, slots=True)
class Meant:
    """What names of fences mean.

    Attributes:
        purges: at most two, the hard one first; with tags as the application names them.
        unknown: names that are digests of longer URLs, and what is no URL at all.
    """

    purges: tuple[EdgePurge, ...]
    unknown: int = 0


def meant(names: Iterable[str]) -> Meant:
    """What is to be purged, from the names of fences: kind, then what it is about."""
    found: dict[str, dict[str, None]] = {
        kind + what: {} for kind in "hs" for what in (EVERYTHING, "t", "u")
    }
    unknown = 0
    for name in names:
        if name[:1] == MARK:
            continue
        kind, about = name[:2], name[2:]
        if kind[1:] == "u" and (about := _encoded(about)) == "":
            unknown += 1
        elif kind in found:
            found[kind][about] = None
    return Meant(tuple(_purges(found)), unknown)


def _purges(found: dict[str, dict[str, None]]) -> Iterable[EdgePurge]:
    if found["h" + EVERYTHING]:
        yield EdgePurge(everything=True)
        return
    for kind in "hs":
        soft = kind == "s"
        if soft and found["s" + EVERYTHING]:
            yield EdgePurge(everything=True, soft=True)
            return
        tags = [tag for tag in found[kind + "t"] if not soft or tag not in found["ht"]]
        urls = [url for url in found[kind + "u"] if not soft or url not in found["hu"]]
        if tags or urls:
            yield EdgePurge(tags=tuple(tags), urls=tuple(urls), soft=soft)


def _encoded(name: str) -> str:
    """A URL as it is requested; empty for what is none."""
    hit = _URL.fullmatch(name)
    if hit is None:
        return ""
    origin, path, query = hit[1], hit[2], hit[3] or ""
    path = quote(path.encode("utf-8", "surrogateescape"), safe=_IN_PATH)
    query = quote(query.encode("utf-8", "surrogateescape"), safe=_IN_QUERY)
    return origin + path + query


def cannot(purge: EdgePurge, able: Capabilities) -> list[str]:
    """What an edge cannot do of a purge, in words for people."""
    lacking = []
    if purge.tags and not able.tags:
        lacking.append("tags")
    if purge.urls and not able.urls:
        lacking.append("URLs")
    elif not able.paths and any(url.startswith("/") for url in purge.urls):
        lacking.append("URLs without a host")
    if purge.everything and not able.everything:
        lacking.append("everything")
    if purge.soft and not able.soft_as_hard:
        lacking += [f"soft purges of {kind}" for kind in _kinds(purge) if kind not in able.soft]
    return lacking


def _kinds(purge: EdgePurge) -> list[str]:
    named = ("tags", purge.tags), ("urls", purge.urls), ("everything", purge.everything)
    return [kind for kind, some in named if some]


def batches(purge: EdgePurge, able: Capabilities, written: Written) -> list[EdgePurge]:
    """What can be done of a purge, within the edge's limits.

    Nobody may be left to be told that a soft purge is refused: then it is hard, since to know less
    is to purge more.
    """
    if purge.everything:
        soft = purge.soft and "everything" in able.soft
        return [EdgePurge(everything=True, soft=soft)] if able.everything else []
    tags = dict.fromkeys(chain.from_iterable(written([tag]) for tag in purge.tags))
    urls = [url for url in purge.urls if able.paths or not url.startswith("/")]
    softly = {kind: purge.soft and kind in able.soft for kind in ("tags", "urls")}
    return [
        *(EdgePurge(tags=some, soft=softly["tags"]) for some in _packed(tags, able)),
        *(
            EdgePurge(urls=tuple(urls[at : at + able.urls]), soft=softly["urls"])
            for at in (range(0, len(urls), able.urls) if able.urls else ())
        ),
    ]


def _packed(tags: Iterable[str], able: Capabilities) -> Iterable[tuple[str, ...]]:
    """Tags in groups within both limits; one that is too long alone is a group all the same."""
    group: list[str] = []
    octets = 0
    for tag in tags if able.tags else ():
        size = len(tag.encode("utf-8", "surrogateescape")) + 1
        if group and (len(group) >= able.tags or octets + size > able.octets):
            yield tuple(group)
            group, octets = [], 0
        group.append(tag)
        octets += size
    if group:
        yield tuple(group)


def halves(batch: EdgePurge) -> list[EdgePurge]:
    """A batch that was refused, in two: one of its parts may be all that is wrong with it."""
    tags, urls = batch.tags, batch.urls
    if len(tags) > 1:
        middle = len(tags) // 2
        return [replace(batch, tags=tags[:middle]), replace(batch, tags=tags[middle:])]
    if len(urls) > 1:
        middle = len(urls) // 2
        return [replace(batch, urls=urls[:middle]), replace(batch, urls=urls[middle:])]
    return []
