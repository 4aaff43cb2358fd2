"""The database of addresses: what it tells, and that nothing that happens to the file is felt."""

import builtins
import gc
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import regionware
from regionware import ConfigurationError, Regionware
from regionware.locate import GeoIP, Platform, Resolver, Trust, geofile
from regionware.locate.address import address_of
from regionware.locate.geofile import UnusableError, load
from regionware.locate.georecord import claim_of
from regionware.policies import Cache, Route
from tests.conformance.application import Application, Response
from tests.conformance.harness import until
from tests.locate.geo import FRA, IAD, SIN, STRANGER, TOPOLOGY, TRUSTED, Asked, city, write
from tests.rig import Rig

PARIS = city("FR", (48.85, 2.35), "IDF", "Europe/Paris")
NETWORKS = {
    "203.0.113.0/24": PARIS,
    "198.51.100.0/25": city("SG"),
    "192.0.2.128/25": city("US", zone="America/Los_Angeles"),
    "2001:db8:1::/48": city("SG", (1.3, 103.8)),
    "10.0.0.0/8": city("DE"),
}
SINGAPORE = {"203.0.113.0/24": city("SG")}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(tmp_path / "city.mmdb", NETWORKS)


def found(geoip: GeoIP, peer: str | None) -> str | None:
    claim = geoip(Asked(peer))
    return None if claim is None else claim.country


# --- what it tells


@pytest.mark.parametrize(
    ("peer", "country"),
    [
        ("203.0.113.9", "FR"),
        ("::ffff:203.0.113.9", "FR"),
        ("198.51.100.127", "SG"),
        ("198.51.100.128", None),
        ("2001:db8:1::7", "SG"),
        ("2001:db8:2::7", None),
        ("fe80::1%eth0", None),
        ("10.1.2.3", "DE"),
        ("", None),
        ("testclient", None),
        ("203.0.113.9:80", None),
        ("203.0.113.9, 1.2.3.4", None),
        ("é" * 99, None),
        (None, None),
    ],
)
def test_an_address_is_looked_up(path: Path, peer: str | None, country: str | None) -> None:
    geoip = GeoIP(path)
    assert [found(geoip, peer) for _ in range(2)] == [country, country]


def test_a_claim_is_derived_and_tells_all_that_the_record_does(path: Path) -> None:
    claim = GeoIP(path)(Asked(STRANGER))
    assert claim is not None
    assert (claim.country, claim.location, claim.subdivision) == ("FR", (48.85, 2.35), "FR-IDF")
    assert (claim.zone, claim.trust, claim.source) == ("Europe/Paris", Trust.DERIVED, "geoip")
    located = Resolver([GeoIP(path)], TOPOLOGY).resolve(Asked(STRANGER))
    assert (located.region, located.by) == (FRA, "location")


def test_who_may_be_forged_is_not_asked(path: Path) -> None:
    """The header is a stranger's; the address is not."""
    resolver = Resolver([Platform("cloudflare"), GeoIP(path)], TOPOLOGY, TRUSTED)
    assert resolver.resolve(Asked(STRANGER, cf_ipcountry="SG")).region == FRA
    assert resolver.resolve(Asked("10.0.0.7", cf_ipcountry="SG")).region == SIN


def test_the_clients_address_goes_before_the_peers(path: Path) -> None:
    class Walked(Asked):
        client: str | None = "198.51.100.1"

    walked = Walked(STRANGER)
    assert (address_of(walked), found_in(path, walked)) == ("198.51.100.1", "SG")
    walked.client = None
    assert (address_of(walked), found_in(path, walked)) == (None, None)  # nobody has said
    assert found_in(path, Asked(STRANGER)) == "FR"


def found_in(path: Path, request: Asked) -> str | None:
    claim = GeoIP(path)(request)
    return None if claim is None else claim.country


def test_clients_of_one_network_share_one_claim(path: Path) -> None:
    geoip = GeoIP(path)
    claims = {id(geoip(Asked(f"203.0.113.{last}"))) for last in range(256)}
    assert len(claims) == 1
    assert len(geoip._known.networks) == 1
    assert len(geoip._known.addresses) == 256


def test_a_scan_does_not_fill_the_memory(path: Path) -> None:
    geoip = GeoIP(path)
    for number in range(20_000):
        geoip(Asked(str(ip_address(number << 8))))
        geoip(Asked("x" * 65 + str(number)))
    assert len(geoip._known.addresses) <= 8192
    assert len(geoip._known.networks) <= 8192


def test_a_database_of_ipv4_alone(tmp_path: Path) -> None:
    geoip = GeoIP(write(tmp_path / "four.mmdb", {"203.0.113.0/24": PARIS}, version=4))
    assert found(geoip, STRANGER) == "FR"
    assert found(geoip, "2001:db8::1") is None


@pytest.mark.parametrize(
    ("record", "country", "place"),
    [
        ({"country": {"iso_code": "FR"}}, "FR", None),
        ({"registered_country": {"iso_code": "FR"}}, "FR", None),
        ({"country": "France", "country_code": "FR"}, "FR", None),
        ({"country": "FR", "lat": "48.8", "lng": "2.3", "timezone": "Europe/Paris"}, "FR",
         (48.8, 2.3)),
        ({"country_code": "FR", "latitude": 48.8, "longitude": 2.3}, "FR", (48.8, 2.3)),
        ({"country": {"iso_code": "XX"}, "location": {"latitude": 1, "longitude": 2}}, None,
         (1.0, 2.0)),
        ({"country_code": "FR", "location": {"latitude": 0.0, "longitude": 0}}, "FR", None),
        ({"country": {"iso_code": "FR"}, "location": {"latitude": 999.0, "longitude": 999.0}}, "FR",
         None),
    ],
)  # fmt: skip
def test_records_of_several_makers(
    record: object, country: str | None, place: tuple[float, float] | None
) -> None:
    claim = claim_of(record)
    assert claim is not None
    assert (claim.country, claim.location) == (country, place)


NAMES = st.sampled_from(
    ["country", "iso_code", "location", "latitude", "longitude", "lat", "lng", "time_zone",
     "timezone", "subdivisions", "country_code", "registered_country", "region_code"]
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8) | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_no_record_ever_raises(record: object) -> None:
    claim = claim_of(record)
    assert claim is None or claim.trust is Trust.DERIVED


def test_a_record_that_is_no_object_is_nothing() -> None:
    nothing: list[object] = [None, [], "FR", 3, {}, {"country": {"iso_code": 7}}, {"location": 5}]
    for record in nothing:
        assert claim_of(record) is None
    assert claim_of({"location": {"latitude": 10**400, "longitude": 1}}) is None


# --- at the start


def test_what_is_not_there_is_an_error_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"GeoIP: path .*none\.mmdb.*No such file"):
        GeoIP(tmp_path / "none.mmdb")
    with pytest.raises(ConfigurationError, match="GeoIP: path"):
        GeoIP(tmp_path)
    with pytest.raises(ConfigurationError, match="every"):
        GeoIP(tmp_path, every=0)


@pytest.mark.parametrize("content", [b"", b"garbage" * 999, b"\xab\xcd\xefMaxMind.com"])
def test_what_is_no_database_is_an_error_at_the_start(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "bad.mmdb"
    file.write_bytes(content)
    with pytest.raises(ConfigurationError, match="no MaxMind database") as error:
        GeoIP(file)
    assert "/regionware-" not in str(error.value)


def test_without_the_extra_it_says_which(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.startswith("maxminddb"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigurationError, match=r"regionware\[geo\]"):
        GeoIP(path)


def test_without_the_compiled_reader_it_works(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("maxminddb._extension", None)
    assert found(GeoIP(path), STRANGER) == "FR"


def test_where_no_folder_can_be_written(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(**_: object) -> None:
        raise FileNotFoundError("no usable temporary directory")

    monkeypatch.setattr(tempfile, "NamedTemporaryFile", refused)
    assert found(GeoIP(path), STRANGER) == "FR"


def test_it_needs_the_location_of_a_region(path: Path) -> None:
    from regionware import Region, Topology  # noqa: PLC0415 - of this test alone

    nowhere = Topology(here="a", regions=[Region("a", primary=True), Region("b")])
    with pytest.raises(ConfigurationError, match=r"GeoIP.*needs the location"):
        Resolver([GeoIP(path)], nowhere)


# --- when the file changes


def test_a_new_file_takes_the_place_of_the_old(path: Path) -> None:
    geoip = GeoIP(path)
    assert (found(geoip, STRANGER), geoip.check()) == ("FR", "same")
    write(path, SINGAPORE)
    assert found(geoip, STRANGER) == "FR"
    assert (geoip.check(), found(geoip, STRANGER), geoip.check()) == ("reloaded", "SG", "same")


def test_an_older_file_is_another_file_too(path: Path) -> None:
    """A clock that is wrong, or a copy that keeps its date, makes no difference."""
    geoip = GeoIP(path)
    for hours in (-1, 1, -1):
        write(path, SINGAPORE if hours < 0 else NETWORKS)
        os.utime(path, (1_700_000_000 + 3600 * hours,) * 2)
        assert geoip.check() == "reloaded"
        assert found(geoip, STRANGER) == ("SG" if hours < 0 else "FR")


def corrupt(path: Path) -> None:
    """Everything but the end, which holds what the file says of itself, is noise."""
    content = path.read_bytes()
    at = content.rindex(b"\xab\xcd\xefMaxMind.com")
    path.write_bytes(b"\xff" * at + content[at:])


BREAKS: dict[str, Any] = {
    "truncated in place": lambda path: os.truncate(path, 100),
    "emptied in place": lambda path: path.write_bytes(b""),
    "overwritten in place": lambda path: path.write_bytes(b"x" * 9999),
    "corrupt": corrupt,
    "gone": lambda path: path.unlink(),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("how", BREAKS)
def test_the_last_good_file_survives(
    path: Path, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    geoip = GeoIP(path)
    BREAKS[how](path)
    assert [geoip.check() for _ in range(3)] == ["failed", "same", "same"]
    assert len(caplog.records) == 1
    assert "the last good one is used" in caplog.text
    for last in range(256):  # none of them was looked up before
        assert found(geoip, f"203.0.113.{last}") == "FR"
    if path.is_dir():
        path.rmdir()
    write(path, SINGAPORE)
    assert (geoip.check(), found(geoip, STRANGER)) == ("reloaded", "SG")
    BREAKS[how](path)
    geoip.check()
    assert len(caplog.records) == 2


def test_the_last_good_file_would_not_survive_untried(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The control of the trial: without it a corrupt file is taken, and its addresses are lost."""
    geoip = GeoIP(path)
    monkeypatch.setattr(geofile, "_try_out", lambda _: None)
    corrupt(path)
    assert geoip.check() == "reloaded"
    assert [found(geoip, STRANGER) for _ in range(3)] == [None] * 3
    assert caplog.text.count("is damaged; the next provider is asked") == 1
    resolver = Resolver([geoip], TOPOLOGY)
    assert resolver.resolve(Asked(STRANGER)).source == "default"


def truncated(path: Path, protection: str) -> int:
    """How a process ends that looks something up when its file was truncated."""
    program = f"""
import os, sys
from contextlib import contextmanager
from regionware.locate import GeoIP, geofile
from tests.locate.geo import Asked
{protection}
geoip = GeoIP(sys.argv[1])
os.truncate(sys.argv[1], 0)
sys.exit(0 if geoip(Asked("203.0.113.9")).country == "FR" else 1)
"""
    root = Path(__file__).parents[2]
    environ = os.environ | {"PYTHONPATH": str(root)}
    command = [sys.executable, "-c", program, str(path)]
    return subprocess.run(command, cwd=root, env=environ, check=False).returncode


def test_a_process_survives_that_its_file_is_truncated(path: Path) -> None:
    assert truncated(path, "") == 0


def test_without_a_copy_it_would_be_killed(path: Path) -> None:
    """The control."""
    mapped = "geofile._private = contextmanager(lambda file: iter([file.name]))"
    assert truncated(path, mapped) == -signal.SIGBUS


def test_a_file_that_changes_while_it_is_read_is_read_later(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    geoip = GeoIP(path)
    real = shutil.copyfileobj

    def torn(source: Any, target: Any) -> None:
        real(source, target)
        write(path, SINGAPORE)

    write(path, NETWORKS)
    monkeypatch.setattr(shutil, "copyfileobj", torn)
    assert (geoip.check(), found(geoip, STRANGER)) == ("failed", "FR")
    with pytest.raises(UnusableError, match="changed while it was read"):
        load(str(path))
    monkeypatch.undo()
    # Of what was there at that time nothing is remembered but that it failed.
    write(path, SINGAPORE)
    assert (geoip.check(), found(geoip, STRANGER)) == ("reloaded", "SG")


def test_a_reader_that_nobody_uses_is_closed(path: Path) -> None:
    def mapped() -> int:
        return Path("/proc/self/maps").read_text(encoding="utf-8").count("regionware-")

    gc.collect()
    before, geoip = mapped(), GeoIP(path)
    assert mapped() > before  # the control: it is seen there
    once = mapped()
    for number in range(20):
        write(path, SINGAPORE if number % 2 else NETWORKS)
        assert geoip.check() == "reloaded"
    gc.collect()
    assert mapped() == once
    assert not list(Path(tempfile.gettempdir()).glob(f"regionware-*{os.getpid()}"))


# --- F19: the file is swapped, corrupted, truncated and removed again and again, under load


def swaps(path: Path, times: int) -> Iterator[str | None]:
    """What is done to the file, and the country that it tells from then on, if it is good."""
    names = list(BREAKS)
    for number in range(times):
        if path.is_dir():
            path.rmdir()
        if number % 2:
            how = names[number // 2 % len(names)]
            if not path.exists():
                write(path, SINGAPORE)
            BREAKS[how](path)
            yield None
        else:
            good = NETWORKS if number % 4 else SINGAPORE
            write(path, good)
            yield "FR" if good is NETWORKS else "SG"


def test_f19_a_hundred_swaps_under_load(path: Path) -> None:
    geoip = GeoIP(path)
    resolver = Resolver([geoip], TOPOLOGY)
    wrong: list[object] = []
    done, asked = threading.Event(), [0] * 4

    def load_it(which: int) -> None:
        number = 0
        while not done.is_set():
            number += 1
            located = resolver.resolve(Asked(f"203.0.113.{(number * 7 + which) % 256}"))
            if located.region not in {FRA, SIN}:
                wrong.append(located)
            asked[which] = number

    threads = [threading.Thread(target=load_it, args=(which,)) for which in range(4)]
    for thread in threads:
        thread.start()
    last = "FR"
    try:
        for country in swaps(path, 100):
            geoip.check()
            last = country or last
            assert found(geoip, STRANGER) == last
            reached = [count + 1 for count in asked]
            until(partial(_reached, asked, reached))
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert wrong == []


def _reached(asked: list[int], counts: list[int]) -> bool:
    return all(count >= least for count, least in zip(asked, counts, strict=True))


def test_f19_would_notice_an_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: what looks at the file in the way of a request is felt when it is gone."""
    geoip = GeoIP(path)
    path.unlink()
    assert found(geoip, STRANGER) == "FR"
    monkeypatch.setattr(GeoIP, "__call__", lambda self, request: GeoIP(self._path)(request))
    assert Resolver([geoip], TOPOLOGY).resolve(Asked(STRANGER)).region == IAD


# --- in an application


def test_each_region_has_an_entry_of_its_own(path: Path, rig: Rig) -> None:
    """Over both protocols: a new file is a matter of new requests, not of what is stored."""

    def told(_: object) -> Response:
        state = regionware.current()
        assert state is not None
        return Response([state.region.name.encode()])

    geoip = GeoIP(path)
    rw = rig.worker(TOPOLOGY, Route("/a", cache=Cache(ttl=60, by="region")), region=[geoip])
    site = rig.site(rw, Application(told))
    for hit in (False, True):
        for peer, name in (("203.0.113.9", b"fra"), ("198.51.100.9", b"sin"), ("8.8.8.8", b"iad")):
            answer = site.get("/a", peer=peer)
            assert (answer.body, answer.hit) == (name, hit)
    write(path, {"8.0.0.0/8": city("FR")})
    geoip.check()
    answer = site.get("/a", peer="8.8.8.8")
    assert (answer.body, answer.hit) == (b"fra", True)
    region = rw.explain("GET", "/a", peer="8.8.8.8")["region"]
    assert [region[key] for key in ("name", "source", "trust", "by")] == [
        "fra", "geoip", "derived", "country",
    ]  # fmt: skip


# --- in the background


def test_the_file_is_looked_at_in_the_background(path: Path) -> None:
    geoip = GeoIP(path, every=0.02)
    events: list[str] = []
    rw = Regionware(
        topology=TOPOLOGY, region=[geoip], sinks=[lambda event: events.append(event.name)]
    )
    with rw:
        write(path, SINGAPORE)
        until(lambda: found(geoip, STRANGER) == "SG")
        path.unlink()
        until(lambda: "geoip-failed" in events)
        assert found(geoip, STRANGER) == "SG"
    assert events == ["geoip-reloaded", "geoip-failed"]
    names = {thread.name for thread in threading.enumerate() if thread.is_alive()}
    assert "regionware-geoip" not in names
    write(path, NETWORKS)
    assert found(geoip, "203.0.113.1") == "SG"
    assert "regionware-geoip" not in {thread.name for thread in threading.enumerate()}


def test_the_first_request_starts_the_look_out(path: Path) -> None:
    geoip = GeoIP(path, every=0.02)
    rw = Regionware(topology=TOPOLOGY, region=[geoip])
    try:
        assert found(geoip, STRANGER) == "FR"
        write(path, SINGAPORE)
        until(lambda: found(geoip, STRANGER) == "SG")
    finally:
        rw.close()


def test_a_child_looks_at_the_file_itself(path: Path) -> None:
    geoip = GeoIP(path, every=0.02)
    with Regionware(topology=TOPOLOGY, region=[geoip]):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:  # pragma: no cover - no measurement in a child that ends like this
            try:
                before = found(geoip, STRANGER)
                write(path, SINGAPORE)
                until(lambda: found(geoip, STRANGER) == "SG")
                os.write(writing, f"{before}{found(geoip, STRANGER)}".encode())
            finally:
                os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as answer:
            assert answer.read() == "FRSG"
        os.waitpid(child, 0)
