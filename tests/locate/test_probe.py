"""Where browsers measure: over both protocols, and nobody but a page of ours can pin."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from regionware import ConfigurationError, Region, Regionware, Topology
from regionware.locate import Cookie, Latency, Pin, Platform, Probe, RegionMap
from regionware.locate.probe import LIMIT, Endpoint, _network, _public
from regionware.locate.script import SCRIPT
from tests.conformance.application import Application, Response
from tests.conformance.harness import Answer, Site
from tests.rig import Rig

SECRET = "0123456789abcdef"
BASE = "/.well-known/regionware"
REGIONS = [
    Region("iad", primary=True, location=(38.95, -77.45), url="https://iad.example.com"),
    Region("fra", location=(50.04, 8.56), url="https://fra.example.com/"),
    Region("sin", location=(1.36, 103.99), url="https://sin.example.com"),
    Region("gru", location=(-23.5, -46.6), url="http://gru.internal:8080"),
]
TOPOLOGY = Topology(here="iad", regions=REGIONS)
PROXY = {"peer": "10.0.0.7"}
OURS = {"Origin": "http://site.test", "Content-Type": "application/json"}

Make = Callable[..., Site]


def home(seen: Any) -> Response:
    return Response([f"app {seen.path}".encode()])


@pytest.fixture
def make(rig: Rig) -> Make:
    def make(**options: Any) -> Site:
        given: dict[str, Any] = {
            "probe": BASE, "secret": SECRET, "trusted": ["10.0.0.0/8"],
            "region": [Platform("bunny"), Pin()],
        }  # fmt: skip
        return rig.site(rig.worker(TOPOLOGY, **given | options), Application(home))

    return make


def post(site: Site, body: Any, headers: dict[str, str] | None = None, **ask: Any) -> Answer:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = OURS | (headers or {})
    kept = {name: value for name, value in fields.items() if value}
    return site.get(f"{BASE}/pin", method="POST", body=content, headers=kept, **ask)


def regions(site: Site, **ask: Any) -> list[str]:
    answer = site.get(f"{BASE}/regions", **ask)
    return [each["name"] for each in json.loads(answer.body)["regions"]]


# --- what is answered


def test_a_ping_says_nothing_and_anybody_may_measure_it(make: Make) -> None:
    site = make()
    for method in ("GET", "HEAD"):
        answer = site.get(f"{BASE}/ping", method=method, headers={"Cookie": "a=b"})
        assert (answer.status, answer.body) == (204, b"")
        assert sorted(answer.headers) == [
            ("access-control-allow-origin", "*"),
            ("cache-control", "no-store"),
            ("cross-origin-resource-policy", "cross-origin"),
            ("timing-allow-origin", "*"),
        ]


def test_the_candidates_are_the_best_first_and_none_that_is_inside(make: Make) -> None:
    site = make()
    answer = site.get(f"{BASE}/regions")
    assert (answer.status, answer["content-type"]) == (200, "application/json")
    assert answer["cache-control"] == "no-store"
    assert json.loads(answer.body)["regions"][1] == {
        "name": "fra",
        "url": "https://fra.example.com",
        "ping": f"https://fra.example.com{BASE}/ping",
    }
    assert b"internal" not in answer.body
    assert regions(site) == ["iad", "fra", "sin"]
    near = {"headers": {"CDN-RequestCountryCode": "SG"}}
    assert regions(site, **near, **PROXY) == ["sin", "fra", "iad"]
    assert regions(site, **near) == ["iad", "fra", "sin"]  # a stranger's word
    site.rw.regions.mark_down("sin")
    assert regions(site, **near, **PROXY) == ["fra", "iad"]


def test_the_script_is_small_and_may_be_kept(make: Make) -> None:
    answer = make().get(f"{BASE}/script.js")
    assert (answer.status, answer.body.decode()) == (200, SCRIPT)
    assert answer["content-type"] == "text/javascript; charset=utf-8"
    assert (answer["cache-control"], answer["x-content-type-options"]) == (
        "public, max-age=3600", "nosniff",
    )  # fmt: skip
    assert not answer["set-cookie"]
    assert len(SCRIPT.encode()) <= 2048


@pytest.mark.parametrize(
    ("part", "method", "allowed"),
    [("ping", "POST", "GET, HEAD"), ("regions", "DELETE", "GET, HEAD"), ("pin", "GET", "POST"),
     ("pin", "PUT", "POST"), ("script.js", "OPTIONS", "GET, HEAD")],
)  # fmt: skip
def test_other_methods(make: Make, part: str, method: str, allowed: str) -> None:
    answer = make().get(f"{BASE}/{part}", method=method)
    assert (answer.status, answer["allow"], answer["cache-control"]) == (405, allowed, "no-store")


@pytest.mark.parametrize(
    "path", ["/", BASE, f"{BASE}/", f"{BASE}/other", f"{BASE}/ping/x", f"/x{BASE}/ping", "/ping"]
)
def test_every_other_path_is_the_applications(make: Make, path: str) -> None:
    assert make().get(path).body == f"app {path}".encode()


def test_it_answers_before_the_routes_and_is_never_stored(make: Make) -> None:
    site = make()  # of which all is cached
    for part in ("regions", "ping", "script.js"):
        answers = [site.get(f"{BASE}/{part}") for _ in range(3)]
        assert {
            (answer["cache-status"], answer.body.startswith(b"app ")) for answer in answers
        } == {("", False)}
    assert not list(site.rw.memory.records())
    # The control: what is the application's is stored.
    assert [site.get("/a").hit for _ in range(2)] == [False, True]


def test_it_is_not_there_where_it_was_not_asked_for(make: Make) -> None:
    assert make(probe=None).get(f"{BASE}/ping").body == f"app {BASE}/ping".encode()


@pytest.mark.parametrize("mode", ["off", "observe"])
def test_the_kill_switch_is_one_for_it_too(make: Make, mode: str) -> None:
    site = make()
    site.rw.mode = mode  # type: ignore[assignment]  # one of the three
    assert site.get(f"{BASE}/ping").body == f"app {BASE}/ping".encode()
    site.rw.mode = "on"
    assert site.get(f"{BASE}/ping").status == 204


def test_another_path(make: Make) -> None:
    site = make(probe=Probe(path="/near"))
    assert site.get("/near/ping").status == 204
    assert site.get(f"{BASE}/ping").status == 200


# --- pins


def test_the_fastest_region_is_pinned(make: Make) -> None:
    site = make()
    answer = post(site, {"rtt": {"iad": 90, "fra": 20.5, "sin": 200}, "zone": "Europe/Paris"})
    assert (answer.status, answer["cache-control"], answer.body) == (204, "no-store", b"")
    assert answer["set-cookie"].startswith("regionware-region=1.")
    assert "; HttpOnly; SameSite=Lax" in answer["set-cookie"]
    assert located(site, answer) == "fra"
    assert site.rw.counts()["pinned:fra"] == 1


def located(site: Site, answer: Answer) -> str:
    """The region that the site finds for a client with the cookie of an answer."""
    text = answer["set-cookie"].partition(";")[0]
    found = site.rw.explain("GET", "/", headers={"Cookie": text} if text else {})["region"]
    return str(found["name"]) if found["source"] == "pin" else ""


def test_on_https_the_cookie_is_secure(make: Make) -> None:
    answer = post(make(), {"rtt": {"fra": 9}}, {"Origin": "https://site.test"}, scheme="https")
    assert answer["set-cookie"].startswith("__Host-regionware-region=1.")
    assert answer["set-cookie"].endswith("; Secure")


def test_what_is_about_equal_is_the_nearest(make: Make) -> None:
    """Another must be faster by 15 % and 10 ms than the one that we would have chosen."""
    site, asia = make(), {"CDN-RequestCountryCode": "SG"}
    for rtts, region in [
        ({"sin": 50, "fra": 44}, "sin"),
        ({"sin": 100, "fra": 88}, "sin"),
        ({"sin": 100, "fra": 80}, "fra"),
        ({"fra": 80}, "fra"),
    ]:
        assert located(site, post(site, {"rtt": rtts}, asia, **PROXY)) == region
    # Of whom nothing is known there is no nearest.
    assert located(site, post(site, {"rtt": {"sin": 50, "fra": 44}})) == "fra"


def test_a_time_zone_alone_tells_something(make: Make) -> None:
    site = make()
    assert located(site, post(site, {"rtt": {}, "zone": "Asia/Calcutta"})) == "sin"
    assert located(site, post(site, {"rtt": {}, "zone": "UTC"})) == ""
    assert located(site, post(site, {"rtt": {}, "zone": "Mars/Olympus"})) == ""
    assert located(site, post(site, {"rtt": {}})) == ""
    known = post(site, {"rtt": {}, "zone": "Asia/Calcutta"}, {"CDN-RequestCountryCode": "FR"},
                 **PROXY)  # fmt: skip
    assert located(site, known) == "fra"


def test_nobody_is_pinned_to_what_is_down_or_not_there(make: Make) -> None:
    site = make()
    site.rw.regions.mark_down("fra")
    assert located(site, post(site, {"rtt": {"iad": 90, "fra": 5, "ams": 1, "gru": 2}})) == "iad"
    assert located(site, post(site, {"rtt": {"ams": 1}})) == ""


FORGED: list[tuple[dict[str, str], int]] = [
    ({"Origin": "http://evil.test"}, 403),
    ({"Origin": "http://site.test.evil.test"}, 403),
    ({"Origin": "http://site.test:8080"}, 403),
    ({"Origin": "null"}, 403),
    ({"Origin": ""}, 403),
    ({"Origin": "ftp://site.test"}, 403),
    ({"Origin": "http://site.test/"}, 403),
    ({"Origin": "http://site.test, http://evil.test"}, 403),
    ({"Sec-Fetch-Site": "cross-site"}, 403),
    ({"Sec-Fetch-Site": "same-site"}, 403),
    ({"Origin": "http://evil.test", "X-Forwarded-Host": "evil.test"}, 403),
    ({"Content-Type": "text/plain"}, 415),
    ({"Content-Type": ""}, 415),
    ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
]


@pytest.mark.parametrize(("headers", "status"), FORGED)
def test_no_other_page_can_pin(make: Make, headers: dict[str, str], status: int) -> None:
    site = make(mapping=RegionMap(latency=Latency()))
    body = {"rtt": {"fra": 20}}
    answer = post(site, body, headers | {"CDN-RequestCountryCode": "FR"})
    assert (answer.status, answer["set-cookie"]) == (status, "")
    assert answer["cache-control"] == "no-store"
    assert site.rw.regions.latency() == {}
    assert post(site, body).status == 204


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://site.test"}, {"Origin": "http://SITE.test"},
     {"Content-Type": "application/json; charset=utf-8"}, {"Sec-Fetch-Site": "same-origin"}],
)  # fmt: skip
def test_our_own_page_can(make: Make, headers: dict[str, str]) -> None:
    assert post(make(), {"rtt": {"fra": 20}}, headers).status == 204


def test_ports_and_trusted_hosts(make: Make) -> None:
    site = make()
    body = {"rtt": {"fra": 20}}
    assert post(site, body, {"Origin": "http://a.test:81"}, host="a.test:81").status == 204
    assert post(site, body, {"Origin": "https://a.test"}, host="a.test:443").status == 204
    assert post(site, body, {"Origin": "http://[::1]:81"}, host="[::1]:81").status == 204
    outer = {"Origin": "https://www.test", "X-Forwarded-Host": "www.test"}
    assert post(site, body, outer).status == 403
    assert post(site, body, outer, **PROXY).status == 204


def test_the_guard_of_the_origin_is_what_refuses(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: without it a forged request pins."""
    monkeypatch.setattr(Endpoint, "_is_ours", lambda *_: True)
    answer = post(make(), {"rtt": {"fra": 20}}, {"Origin": "http://evil.test"})
    assert (answer.status, bool(answer["set-cookie"])) == (204, True)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"null", b"7", b"{}", b'{"rtt": []}', b'{"rtt": {"fra": "20"}}',
        b'{"rtt": {"fra": true}}', b'{"rtt": {"fra": null}}', b'{"rtt": {"fra": 0}}',
        b'{"rtt": {"fra": -1}}', b'{"rtt": {"fra": NaN}}', b'{"rtt": {"fra": 1e999}}',
        b'{"rtt": {"fra": 5001}}', b'{"rtt": {"a":1,"b":1,"c":1,"d":1,"e":1}}', b"\xff\xfe",
        b"[" * 1000, b'{"rtt": {"fra": 1' + b"0" * 400 + b"}}",
    ],
)  # fmt: skip
def test_what_is_no_measurement(make: Make, body: bytes) -> None:
    answer = post(make(), body)
    assert (answer.status, answer["set-cookie"]) == (400, "")


def test_nobody_reads_more_than_a_kilobyte(make: Make) -> None:
    site = make()
    full = json.dumps({"rtt": {"fra": 20}, "x": ""}).encode()
    padded = full.replace(b'""', b'"' + b"x" * (LIMIT - len(full)) + b'"')
    assert (len(padded), post(site, padded).status) == (LIMIT, 204)
    assert post(site, padded + b" ").status == 413
    assert post(site, padded * 9999).status == 413


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
                    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))  # fmt: skip
def test_no_content_ever_fails(make: Make, value: Any) -> None:
    site = make()
    for body in (value, {"rtt": value, "zone": value}, {"rtt": {"fra": value}}):
        assert post(site, body).status in {204, 400, 413}


# --- what measurements count for


def test_measurements_count_for_the_country_once_for_each_network(make: Make) -> None:
    now = [1000.0]
    site = make(mapping=RegionMap(latency=Latency()), clock=lambda: now[0])
    body = {"rtt": {"fra": 20, "iad": 95, "ams": 3}}
    france = {"CDN-RequestCountryCode": "FR"}

    def measured(client: str) -> None:
        post(site, body, france | {"X-Forwarded-For": client}, **PROXY)

    for _ in range(3):
        measured("203.0.113.9")
    expected: dict[str, Any] = {"FR": {"fra": (20.0, 1), "iad": (95.0, 1)}}
    assert site.rw.regions.latency() == expected
    measured("203.0.113.200")  # of the same network
    post(site, body, france, **PROXY)  # of whom only the proxy is known
    assert site.rw.regions.latency() == expected
    measured("198.51.100.9")
    now[0] += 3600
    measured("203.0.113.9")
    assert site.rw.regions.latency()["FR"]["fra"] == (20.0, 3)


def test_of_whom_nothing_is_known_nothing_is_counted(make: Make) -> None:
    """Neither a stranger's header nor the client's own pin says which country it is."""
    site = make(
        mapping=RegionMap(latency=Latency()), region=[Platform("bunny"), Cookie("c"), Pin()]
    )
    post(site, {"rtt": {"fra": 20}}, {"CDN-RequestCountryCode": "FR"})
    post(site, {"rtt": {"fra": 20}}, {"Cookie": "c=fra"})
    post(site, {"rtt": {"fra": 20}}, {"CDN-RequestCountryCode": "FR"}, peer="")
    assert site.rw.regions.latency() == {}


def test_fifty_networks_change_where_a_country_goes(make: Make) -> None:
    site = make(mapping=RegionMap(latency=Latency()))
    brazil = {"CDN-RequestCountryCode": "BR"}

    def goes_to() -> str:
        found = site.rw.explain("GET", "/", headers=brazil, peer="10.0.0.7")
        return str(found["region"]["name"])

    assert goes_to() == "gru"
    site.rw.regions.mark_down("gru", seconds=3600)
    assert goes_to() == "iad"
    site.rw.regions.mark_up("gru")
    for number in range(49):
        told = brazil | {"X-Forwarded-For": f"203.0.{number}.7"}
        post(site, {"rtt": {"iad": 120, "fra": 80}}, told, **PROXY)
    for _ in range(50):
        site.rw.regions.measured("BR", "gru", 300)
    assert goes_to() == "gru"
    told = brazil | {"X-Forwarded-For": "203.0.200.7"}
    post(site, {"rtt": {"iad": 120, "fra": 110}}, told, **PROXY)
    assert goes_to() == "fra"


def test_without_pins_there_is_no_cookie(make: Make) -> None:
    site = make(region=[Platform("bunny")], mapping=RegionMap(latency=Latency()))
    told = {"CDN-RequestCountryCode": "FR", "X-Forwarded-For": "203.0.113.9"}
    answer = post(site, {"rtt": {"fra": 20}}, told, **PROXY)
    assert (answer.status, answer["set-cookie"]) == (204, "")
    assert set(site.rw.regions.latency()) == {"FR"}


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.9", "4/cb0071"), ("203.0.113.200", "4/cb0071"),
        ("::ffff:203.0.113.9", "4/cb0071"),
        ("2001:db8:1:2::3", "6/20010db80001"), ("", None), (None, None), ("x", None),
    ],
)  # fmt: skip
def test_whose_measurement_it_is(address: str | None, network: str | None) -> None:
    assert _network(address) == network


# --- in a configuration


def worker(**options: Any) -> Regionware:
    given: dict[str, Any] = {
        "topology": TOPOLOGY, "probe": BASE, "region": [Pin()], "secret": SECRET,
    }  # fmt: skip
    return Regionware(**given | options)


@pytest.mark.parametrize(
    ("url", "known"),
    [
        ("https://fra.example.com", True), ("https://fra.example.com:8443/x", True),
        ("http://fra.example.com", False), ("https://fra", False), ("https://10.0.0.1", False),
        ("https://[::1]", False), ("https://fra.internal", False), ("https://fra.local.", False),
        ("https://app.default.svc", False), ("https://app.flycast", False),
    ],
)  # fmt: skip
def test_which_urls_are_told(url: str, known: bool) -> None:
    assert _public(url) is known


def test_there_must_be_something_to_measure() -> None:
    two = [Region("a", primary=True, url="https://a.example.com"), Region("b")]
    with pytest.raises(ConfigurationError, match="fewer than two regions have a public https url"):
        worker(topology=Topology(here="a", regions=two))
    urls = {"a": "https://a.example.com", "b": "http://127.0.0.1:8000"}
    worker(topology=Topology(here="a", regions=two), probe=Probe(urls=urls))
    with pytest.raises(ConfigurationError, match="'c' is not one of the regions"):
        worker(topology=Topology(here="a", regions=two), probe=Probe(urls=urls | {"c": urls["a"]}))


def test_it_must_be_of_use() -> None:
    with pytest.raises(ConfigurationError, match="nothing uses it"):
        worker(region=[])
    worker(region=[], mapping=RegionMap(latency=Latency()))


def test_a_prefix_of_the_application_is_none_of_the_path(rig: Rig) -> None:
    """Both protocols tell it, each in its own way."""
    import asyncio  # noqa: PLC0415 - of one test
    from io import BytesIO  # noqa: PLC0415 - of one test

    rw = worker()
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError

    scope = {
        "type": "http", "method": "GET", "path": f"/app{BASE}/ping", "root_path": "/app",
        "query_string": b"", "headers": [(b"host", b"site.test")],
    }  # fmt: skip
    asyncio.run(rw.asgi(app)(scope, app, send))  # type: ignore[arg-type]  # nobody receives
    environ = {
        "REQUEST_METHOD": "GET", "wsgi.url_scheme": "http", "SCRIPT_NAME": "/app",
        "PATH_INFO": f"{BASE}/ping", "QUERY_STRING": "", "HTTP_HOST": "site.test",
        "wsgi.input": BytesIO(),
    }  # fmt: skip

    def start_response(status: str, _: Any) -> Callable[[bytes], object]:
        sent.append({"status": int(status[:3])})
        return sent.append

    rw.wsgi(lambda *_: [b"app"])(environ, start_response)
    assert [each["status"] for each in sent if "status" in each] == [204, 204]
    rw.close()
