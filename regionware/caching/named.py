"""What a purge names, as the names of fences. No I/O here."""

from collections.abc import Iterable, Mapping
from typing import Final, cast
from urllib.parse import unquote, urlsplit

from regionware.caching.coherence import EVERYTHING, bounded, mark, tag_name
from regionware.errors import ConfigurationError
from regionware.kinds import BOOLEAN, TEXT, list_of

_TEXTS: Final = list_of(TEXT, "texts")


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
        ConfigurationError: nothing is named, or something is of another kind.
    """
    BOOLEAN.check("purge: everything", everything)
    BOOLEAN.check("purge: soft", soft)
    names = (
        [tag_name(tag) for tag in _texts("tags", tags)]
        + [_url_name(url) for url in _texts("urls", urls)]
        + ([EVERYTHING] if everything else [])
    )
    if not names:
        raise ConfigurationError("purge: name tags or urls, or say everything=True")
    return tuple(dict.fromkeys(mark(name, soft=soft) for name in names))


def _texts(option: str, values: object) -> Iterable[str]:
    """A list, or whatever else gives one text after the other and is none itself."""
    if isinstance(values, Iterable) and not isinstance(values, str | bytes | bytearray | Mapping):
        values = tuple(values)
    _TEXTS.check(f"purge: {option}", values)
    return cast("Iterable[str]", values)  # it was checked just now


def _url_name(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise ConfigurationError(f"purge: {url!r} is no URL: {error}") from error
    if bool(parts.scheme) != bool(parts.netloc) or not (parts.netloc or url.startswith("/")):
        raise ConfigurationError(f"purge: {url!r} is neither an absolute URL nor a path")
    # Keys hold decoded paths, and queries as they were sent.
    target = (unquote(parts.path) or "/") + (f"?{parts.query}" if parts.query else "")
    origin = f"{parts.scheme.lower()}://{parts.netloc.lower()}" if parts.netloc else ""
    return bounded(f"u{origin}{target}")
