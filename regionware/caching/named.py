"""What a purge names, as the names of fences. No I/O here."""

from collections.abc import Iterable
from urllib.parse import unquote, urlsplit

from regionware.caching.coherence import EVERYTHING, bounded, mark, tag_name
from regionware.errors import ConfigurationError


def names_for(
    tags: Iterable[str], urls: Iterable[str], *, everything: bool, soft: bool
) -> tuple[str, ...]:
    """The fences that a purge raises.

    Args:
        tags: literal tags.
        urls: absolute, or a path with its query for every host.
        everything: all entries of the namespace.
        soft: stale-while-revalidate may still use the entries.

    Raises:
        ConfigurationError: nothing is named, a text stands for a list, or a name has surrogates.
    """
    if isinstance(tags, str) or isinstance(urls, str):
        raise ConfigurationError("purge: tags and urls are lists, not a text")
    names = (
        [tag_name(tag) for tag in tags]
        + [_url_name(url) for url in urls]
        + ([EVERYTHING] if everything else [])
    )
    if not names:
        raise ConfigurationError("purge: name tags or urls, or say everything=True")
    try:
        "".join(names).encode()
    except UnicodeError as error:
        raise ConfigurationError(f"purge: a name that no Redis can be told: {error}") from error
    return tuple(dict.fromkeys(mark(name, soft=soft) for name in names))


def _url_name(url: str) -> str:
    parts = urlsplit(url)
    if bool(parts.scheme) != bool(parts.netloc) or not (parts.netloc or url.startswith("/")):
        raise ConfigurationError(f"purge: {url!r} is neither an absolute URL nor a path")
    # Keys hold decoded paths, and queries as they were sent.
    target = (unquote(parts.path) or "/") + (f"?{parts.query}" if parts.query else "")
    origin = f"{parts.scheme.lower()}://{parts.netloc.lower()}" if parts.netloc else ""
    return bounded(f"u{origin}{target}")
