"""Every option says of what kind it is: whatever else it is given is an error that names it."""

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from regionware import ConfigurationError, Region, Regionware, Topology
from regionware.kinds import BOOLEAN, TEXT, Kind, list_of, number, whole
from regionware.locate import Cookie, Header, Platform
from regionware.policies import Cache, Cdn, Database, Route, Write

Make = Callable[..., Any]

SECRET = "0123456789abcdef"
REDIS = "redis://127.0.0.1:1/0"
LONE = "\ud800" * 20  # a surrogate: what the environment holds that is no UTF-8


def region(**words: Any) -> Region:
    return Region("here", **words)


def region_of(name: Any) -> Region:
    return Region(name)


def topology(**words: Any) -> Topology:
    return Topology(**{"here": "here", "regions": [region()]} | words)


def with_redis(**words: Any) -> Regionware:
    """With a Redis and a database, neither of which is there."""
    here = region(primary=True, redis=REDIS, database="postgresql://127.0.0.1:1/none")
    given: dict[str, Any] = {"topology": topology(regions=[here]), "secret": SECRET}
    return Regionware(**given | words)


def cache(**words: Any) -> Cache:
    return Cache(**{"ttl": 60} | words)


def routed(**words: Any) -> Regionware:
    """What a policy lets pass must be of use, too."""
    return Regionware(routes=[Route("/x", cache=cache(consistency="eventual", **words))])


def edged(**words: Any) -> Regionware:
    return Regionware(routes=[Route("/x", cdn=Cdn(**words))])


def placed(**words: Any) -> Regionware:
    given: dict[str, Any] = {"primary": True, "database": "host=h dbname=d"}
    here = region(**given | words)
    return Regionware(topology=topology(regions=[here]), secret=SECRET)


def route(**words: Any) -> Regionware:
    return Regionware(routes=[Route(**{"path": "/x"} | words)])


def database(**words: Any) -> Database:
    return Database(**{"consistency": "session"} | words)


# What is made, and for each of its options some values that it cannot take.
BAD: dict[Make, dict[str, list[Any]]] = {
    Regionware: {
        "topology": [3, 0, "fra", [], {}],
        "routes": ["x", [3], [Cache(ttl=1)], None, Route("/x"), {}],
        "region": ["fra", ["fra"], 3, None],
        "trusted": ["10.0.0.0/8", [3], 5, None, {"10.0.0.0/8": True}, b"10.0.0.0/8"],
        "secret": [5, "", [], [5], [None], True, LONE, {SECRET: 1}],
        "memory": ["64MB", None, True, 1e9, math.nan, 0, -1, 1 << 60],
        "memory_entry": ["1MB", True, 2048.0, 0, 1 << 60],
        "warm": ["5", True, 5.0, None, -1, 5001],
        "takeover": ["1", True, None, math.nan, math.inf, -1, 1e7],
        "shadow": ["1", True, None, math.nan, math.inf, -1, 11],
        "namespace": [5, None, "", "a:b", b"app", "a\n", "é"],
        "release": [5, None, "a:b", b"1", "1\n"],
        "sign_entries": ["yes", 1, None],
        "session_cookie": [5, None, "", "a b", ("a",), ("a", 5), (5, None), ["a", "b", "c"], b"a"],
        "mode": ["of", None, 1, True, [], b"on"],
        "debug": [5, "short", b"0123456789abcdef", LONE, [SECRET]],
        "sinks": [[3], print, None, "x", {}],
        "clock": [3, None, "now"],
        "wall": [3, None, "now"],
    },
    cache: {
        "ttl": ["30", None, True, math.nan, math.inf, -math.inf, 0, -1, 1e9, 10**400, []],
        "stale_while_revalidate": [None, "5", True, math.nan, math.inf, -1, 10**400],
        "stale_if_error": [None, "5", True, math.nan, math.inf, -1],
        "jitter": ["x", None, True, math.nan, 0.6, -0.1],
        "tags": ["product", [3], None, {}, b"product", 3, [LONE]],
        "vary": ["Accept", [3], None, ["a b"], ["*"], ["Cookie"]],
        "query": ["a", 3, [3], {}, b"a"],
        "ignore_query": ["utm_*", [3], None],
        "cookies": ["currency", None, 3, [3], {}, True],
        "by": [None, 3, [3], {}, "a b", [["region"]]],
        "statuses": ["200", 200, ["200"], [True], [200.0], [206], [304], [99], None],
        "consistency": ["strong", "sessions", "own_writes", None, 3, []],
        "allow_authorization": ["yes", 1, None],
        "shared": ["yes", 1, None],
        "authorize": ["yes", 3, True],
        "allow_set_cookie": ["a", [3], None],
        "override": ["yes", 1, None],
        "targets": ["CDN-Cache-Control", [3], ["Other"], None],
        "compress": ["zstd", 1, None],
        "is_standard": ["yes", 1, None],
    },
    Cache.standard: {"limit": ["30", None, math.nan, 0]},
    Cdn: {
        "max_age": ["30", None, True, math.nan, math.inf, -1],
        "shared_max_age": ["30", True, math.nan, math.inf, -1],
        "stale_while_revalidate": ["30", None, True, math.nan],
        "stale_if_error": ["30", None, True, math.nan],
        "tags": ["product", [3], 3, {}],
        "vendor": [3, [], True, "nobody", ["fastly", "nobody"], ["fastly", "fastly"], {"fastly"}],
        "by": ["country", 3, True, ["region"]],
        "attested": ["yes", 1, None],
        "hashed": ["x", 3, True, lambda _: True],
        "is_immutable": ["yes", 1, None],
        "visibility": ["secret", None, 3, []],
    },
    database: {
        "consistency": ["weak", None, 3, []],
        "max_lag": ["5", True, math.nan, math.inf, 0.5, 301],
        "wait": ["50", None, True, math.nan, -1, 10_001],
        "unmet": ["give up", None, 3, []],
    },
    Write: {"strategy": ["somehow", None, 3, []]},
    route: {
        "path": [3, None, b"/x", "x", LONE],
        "methods": ["GET", [], [3], 3, ["get"], {}],
        "hosts": ["example.com", [], [3], 3, {}],
        "access": ["rw", 3, True, []],
        "mode": ["of", 3, True, []],
        "cache": [60, "on", True],
        "cdn": [60, Cache(ttl=1), True],
        "database": ["primary", 3],
        "write": ["direct", 3],
    },
    region_of: {"name": [3, None, "", "A", LONE, []]},
    region: {
        "primary": ["yes", 1, None],
        "location": [
            ("a", "b"),
            ("1", "2"),
            (1,),
            5,
            (True, 1),
            (math.nan, 1),
            (91, 0),
            (0, 10**400),
        ],
        "database": [3, "", "mysql://h/d", [], LONE],
        "replicas": ["postgresql://h/d", [3], 3, None, {}],
        "redis": [3, "", "http://h", []],
        "url": [3, "", "ftp://h", []],
    },
    topology: {
        "here": [3, "nowhere", [], LONE],
        "regions": ["here", [], [3], ["here"], None, region(), {"here": region()}],
        "environ": [3, "x", []],
    },
    Header: {"name": [3, None, "", "a_b", []]},
    Cookie: {"name": [3, None, "", "a b", []]},
    Platform: {"name": [3, None, "", "nobody", []]},
}

CASES = [
    pytest.param(make, option, value, id=f"{make.__qualname__}-{option}-{number}")
    for make, options in BAD.items()
    for option, values in options.items()
    for number, value in enumerate(values)
]

#: How a message may say it otherwise.
ALIASES = {
    "replicas": "replica", "path": "path|starts with a slash|route x",
    "name": "name|Platform|Cookie|Header", "vary": "vary|key dimension", "by": "by |key dimension",
    "regions": "region",
}  # fmt: skip


@pytest.mark.parametrize(("make", "option", "value"), CASES)
def test_a_value_of_another_kind_is_an_error_that_names_the_option(
    make: Make, option: str, value: Any
) -> None:
    with pytest.raises(ConfigurationError, match=ALIASES.get(option, option)):
        make(**{option: value})


@pytest.mark.parametrize(
    ("make", "option", "value"),
    [
        (Regionware, "trusted", "10.0.0.0/8"),
        (Regionware, "routes", "x"),
        (cache, "tags", "product"),
        (cache, "vary", "Accept"),
        (cache, "statuses", "200"),
        (cache, "query", "a"),
        (cache, "cookies", "currency"),
        (Cdn, "tags", "product"),
        (route, "methods", "GET"),
        (route, "hosts", "example.com"),
        (region, "replicas", "postgresql://h/d"),
        (topology, "regions", "here"),
    ],
)
def test_one_text_in_place_of_a_list_is_told_what_is_wanted(
    make: Make, option: str, value: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"{option} (is|must be).*a list of") as error:
        make(**{option: value})
    assert "postgresql" not in str(error.value)


def test_of_a_list_the_member_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"statuses\[1\] is a whole number .* not '404'"):
        Cache(ttl=1, statuses=[200, "404"])  # type: ignore[list-item] # what is tested
    with pytest.raises(ConfigurationError, match=r"routes\[0\] is a Route, not 3"):
        Regionware(routes=[3])  # type: ignore[list-item] # what is tested


@pytest.mark.parametrize("option", ["secret", "debug"])
def test_no_message_shows_a_secret(option: str) -> None:
    for wrong in (["hush", 5], b"hush", "hush", {"hush": 1}):
        with pytest.raises(ConfigurationError) as error:
            Regionware(**{option: wrong})  # type: ignore[arg-type] # what is tested
        assert "hush" not in str(error.value)


def test_signing_without_any_redis_signs_nothing() -> None:
    with pytest.raises(ConfigurationError, match=r"sign_entries.*no region has a Redis"):
        Regionware(secret=SECRET, sign_entries=True)
    with_redis(sign_entries=True)
    # The same options may hold in every region, though this one have no Redis.
    elsewhere = topology(regions=[region(primary=True), Region("there", redis=REDIS)])
    Regionware(topology=elsewhere, secret=SECRET, sign_entries=True)


def test_both_modes_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGIONWARE_MODE", "observe")
    assert Regionware(mode="off").mode == "observe"
    with pytest.raises(ConfigurationError, match="mode"):
        Regionware(mode=3)  # type: ignore[arg-type] # what is tested


def test_what_is_right_passes() -> None:
    with_redis(
        routes=(Route("/x", methods=("GET",), cache=cache(by=["region", str], query=["a"])),),
        secret=[SECRET, SECRET.encode()],
        session_cookie=("name", ".example.com"),
        trusted=("10.0.0.0/8", "unix"),
        memory=1 << 16,
        memory_entry=1024,
        shadow=1,
        warm=5,
        debug=SECRET,
        release="1.2-rc_3",
        sinks=[print],
    )


ORDERED: dict[str, Callable[[Any], object]] = {
    "secret": lambda of: Regionware(secret=of([SECRET, SECRET.encode()])),
    "routes": lambda of: Regionware(routes=of([Route("/x"), Route("/{y}")])),
    "region": lambda of: Regionware(region=of([str, repr])),
    "by": lambda of: cache(by=of(["region", "accept-language"])),
    "regions": lambda of: Topology(here="iad", regions=of([Region("iad", primary=True)])),
    "replicas": lambda of: Region("fra", replicas=of(["postgresql://a/app", "postgresql://b/app"])),
}


@pytest.mark.parametrize("option", ORDERED)
def test_where_the_order_counts_a_set_is_refused(option: str) -> None:
    """The first secret signs, the first route holds; in another process a set has another order."""
    for kind in (set, frozenset):
        with pytest.raises(ConfigurationError, match=rf"\b{option} .*a set has no order"):
            ORDERED[option](kind)
    # The positive control: it is not what is in there.
    for good in (list, tuple):
        ORDERED[option](good)


def test_where_it_does_not_a_set_will_do() -> None:
    made = cache(tags={"a", "b"}, vary={"accept", "accept-language"}, statuses={200, 404})
    assert set(made.tags) == {"a", "b"}


# Anything at all

URLS = [
    "postgresql://h/\0", "postgresql://[", "host='", "a=b", "redis://h/%00", "redis://[::1",
    "unix://\0", "redis+cluster://%", "redis+sentinel://h/\0", "https://h\0", "http://[",
]  # fmt: skip

JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=10**20, max_value=10**400)
    | st.floats()
    | st.text(st.characters(), max_size=20)  # with surrogates
    | st.binary(max_size=20)
    | st.builds(object)
    | st.sampled_from(
        [print, int, Fraction(1, 2), 1j, REDIS, *URLS, "on", "region", "/{x", "/{x}", "/{x:int"]
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=3), inner, max_size=2)
        | st.frozensets(st.integers() | st.text(max_size=3), max_size=2)
    ),
    max_leaves=4,
)
ANY = [
    (make, option)
    for make, options in {
        with_redis: BAD[Regionware],
        **BAD,
        routed: {name: [] for name in BAD[cache] if name != "consistency"},
        edged: BAD[Cdn],
        placed: BAD[region],
    }.items()
    for option in options
]


@given(what=st.sampled_from(ANY), junk=JUNK)
@example(what=(with_redis, "routes"), junk=[1j])
def test_any_value_works_or_is_a_configuration_error(what: tuple[Make, str], junk: Any) -> None:
    make, option = what
    try:
        make(**{option: junk})
    except ConfigurationError as error:
        assert str(error)  # noqa: PT017 - both outcomes are right


@given(value=JUNK)
def test_no_kind_ever_raises(value: Any) -> None:
    for kind in (TEXT, BOOLEAN, number("s", 0, 9), whole("s", 0, 9), list_of(TEXT, "texts")):
        assert kind.fits(value) in {True, False}
        try:
            kind.check("option", value)
        except ConfigurationError:
            assert not kind.fits(value)
        else:
            assert kind.fits(value)


def test_the_checks_are_what_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: without them values of another kind get in, or end in other errors."""
    monkeypatch.setattr(Kind, "check", lambda *_: None)
    Cache(ttl="30")  # type: ignore[arg-type] # what is tested
    with pytest.raises((TypeError, AttributeError)):
        Regionware(memory="64MB")  # type: ignore[arg-type] # what is tested
