"""What a vendor's edge cannot do for a route, found at start."""

import logging
from string import Formatter

from regionware.policies.cdn import Cdn
from regionware.policies.route import Route
from regionware.policies.table import Compiled
from regionware.vendors.dialect import Lifetimes, unobeyed
from regionware.vendors.model import TagField, Vendor
from regionware.vendors.tags import forms, tag_fields

logger = logging.getLogger("regionware")


def varies_by_region(route: Route) -> bool:
    """Whether a route's answers differ by region, as its `Cdn` or its `Cache` says."""
    by_cache = route.cache is not None and "region" in route.cache.dimensions
    return by_cache or (route.cdn is not None and route.cdn.by == "region")


def check_edges(compiled: Compiled) -> None:
    """Refuse what no edge of the vendor can keep; say what it will not obey.

    Raises:
        ConfigurationError: naming the route and the reason.
    """
    route, cdn = compiled.route, compiled.route.cdn
    if cdn is None:
        return
    if cdn.by is not None and not cdn.is_public:
        raise route.refuse('Cdn(by="region"): nothing is kept at an edge that could differ')
    if not cdn.is_public:
        return
    if varies_by_region(route):
        _check_variance(route, cdn)
    _check_vary(route, cdn)
    for vendor in cdn.vendors:
        _check_tags(compiled, cdn, vendor)
        _check_windows(route, cdn, vendor)


def _check_variance(route: Route, cdn: Cdn) -> None:
    if route.cache is not None and "region" not in route.cache.dimensions:
        raise route.refuse('Cdn(by="region") needs Cache(by="region"): one answer is stored here')
    if cdn.hashed is not None or cdn.is_immutable:
        raise route.refuse("a file that never changes cannot differ by region")
    for vendor in cdn.vendors:
        if vendor.caches and vendor.variance == "impossible":
            raise route.refuse(
                f'a public Cdn lifetime with by="region": {vendor.title} cannot keep regions '
                f"apart{'; name a vendor' if not vendor.name else ''}"
            )
        if vendor.caches and vendor.variance == "configured" and not cdn.attested:
            raise route.refuse(
                f'a public Cdn lifetime with by="region": {vendor.title} keeps regions apart only '
                f"as it is configured; see `regionware cdn-config {vendor.name}`, and say "
                "Cdn(attested=True)"
            )


def _check_vary(route: Route, cdn: Cdn) -> None:
    names = [] if route.cache is None else [
        name for name in route.cache.vary if name.lower() != "accept-encoding"
    ]  # fmt: skip
    blind = [vendor.title for vendor in cdn.vendors if vendor.ignores_vary and vendor.caches]
    if names and blind and not cdn.attested:
        raise route.refuse(
            f"a public Cdn lifetime with vary={names}: {blind[0]} keeps these apart only as it is "
            "configured; say Cdn(attested=True) if it is"
        )


def _check_tags(compiled: Compiled, cdn: Cdn, vendor: Vendor) -> None:
    route = compiled.route
    inherited = route.cache.tags if route.cache is not None else ()
    tags = tuple(inherited if cdn.tags is None else cdn.tags)
    if vendor.tags is None:
        if cdn.tags:
            raise route.refuse(f"Cdn(tags=...): {vendor.title} has no tags; purge it by URL")
        if tags and vendor.caches:
            logger.warning(
                "route %s: %s has no tags: a purge by tag does not reach it", route.path,
                vendor.title,
            )  # fmt: skip
        return
    literal = [tag for tag in tags if not _is_template(tag)]
    if tag_fields([vendor], literal) is None:
        raise route.refuse(f"{vendor.title} takes fewer tags, or shorter ones: none could be kept")
    _check_case(route, vendor, literal)
    _tell_hashed(route, vendor, vendor.tags, tags)


def _check_case(route: Route, vendor: Vendor, tags: list[str]) -> None:
    if vendor.tags is not None and vendor.tags.folds:
        known: dict[str, str] = {}
        for tag in tags:
            other = known.setdefault(tag.lower(), tag)
            if other != tag:
                raise route.refuse(f"to {vendor.title} the tags {other!r} and {tag!r} are the same")


def _tell_hashed(route: Route, vendor: Vendor, field: TagField, tags: tuple[str, ...]) -> None:
    """What no value of a parameter could make readable is said to be hashed."""
    plain = ["".join(text for text, *_ in Formatter().parse(tag)) for tag in tags]
    changed = [
        tag
        for tag, text in zip(tags, plain, strict=True)
        if text and forms(field, [text]) != (text,)
    ]
    if changed:
        logger.warning(
            "route %s: %s does not take the tags %s as they are: they are sent, and purged, as "
            "hashes", route.path, vendor.title, ", ".join(changed),
        )  # fmt: skip


def _check_windows(route: Route, cdn: Cdn, vendor: Vendor) -> None:
    life = Lifetimes(0, 0, cdn.stale_while_revalidate, cdn.stale_if_error)
    if not vendor.caches:
        if cdn.shared_max_age or cdn.stale_while_revalidate or cdn.stale_if_error:
            logger.warning("route %s: %s keeps no responses", route.path, vendor.title)
    elif missing := unobeyed(vendor, life):
        logger.warning(
            "route %s: %s does not take %s from a response: not sent", route.path, vendor.title,
            " and ".join(missing),
        )  # fmt: skip


def _is_template(tag: str) -> bool:
    return any(name is not None for _, name, *_ in Formatter().parse(tag))
