"""`regionware cdn-config`: what is printed loads, and forgets nothing that would be dangerous."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from regionware import ConfigurationError, Region, Regionware, Topology
from regionware.cli import main
from regionware.policies import Cdn, Route
from regionware.vendors.catalogue import VENDORS
from regionware.vendors.config import render
from regionware.vendors.config.setting import Setting

TOPOLOGY = Topology(
    here="fra",
    regions=[
        Region("iad", primary=True, location=(38.95, -77.45), database="postgresql://x/app"),
        Region("fra", location=(50.04, 8.56)),
    ],
)
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "behind a proxy": {"fronts": ["10.0.0.0/8", "fd00::/8"], "refresh_secret": "a-secret"},
    "by region": {"varies": True, "regions": ("iad", "fra.1"), "fronts": ["10.0.0.1/32"]},
    "static": {"static": (r"^/static/(.*)$", r"^/(?:a|b)/([^/]+)\.css$")},
    "elsewhere": {"backend_host": "::1", "backend_port": 9000, "region_field": "X-Place"},
}


def program(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    assert found, f"{name} is not installed"
    return found


def load_vcl(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    (folder / "edge.vcl").write_text(text)
    words = ["-C", "-j", "none", "-n", str(folder / "work"), "-f", str(folder / "edge.vcl")]
    return subprocess.run(
        [program("varnishd"), *words], capture_output=True, text=True, check=False
    )


def load_nginx(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    main = f"pid {folder}/pid;\nevents {{}}\nhttp {{\naccess_log off;\n{temporary}{text}\n}}\n"
    (folder / "nginx.conf").write_text(main)
    words = ["-t", "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"]
    return subprocess.run([program("nginx"), *words], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("options", OPTIONS)
def test_varnish_loads_it(options: str, tmp_path: Path) -> None:
    done = load_vcl(render("varnish", **OPTIONS[options]), tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("options", OPTIONS)
def test_nginx_loads_it(options: str, tmp_path: Path) -> None:
    words = {"directory": "cache", "listen": "127.0.0.1:8099", **OPTIONS[options]}
    done = load_nginx(render("nginx", **words), tmp_path)
    assert done.returncode == 0, done.stderr
    assert "[warn]" not in done.stderr


def test_what_does_not_load_is_noticed(tmp_path: Path) -> None:
    vcl = render("varnish").replace("import xkey;", "")
    assert load_vcl(vcl, tmp_path).returncode != 0
    conf = render("nginx", directory="cache").replace("keepalive 16;", "keepalive;")
    assert load_nginx(conf, tmp_path).returncode != 0


def test_it_is_made_for_an_application() -> None:
    rw = Regionware(
        topology=TOPOLOGY, secret="a secret of the tests",
        routes=[Route("/static/{path:path}", cdn=Cdn.immutable())],
    )  # fmt: skip
    text = render("varnish", rw, backend_host="app.internal", backend_port=8080)
    assert '.host = "app.internal"' in text
    assert '.port = "8080"' in text
    assert "regionware-session" in text
    assert '~ "^/static/(.*)$"' in text
    assert "regionware-session" in render("nginx", rw)


@pytest.mark.parametrize("vendor", ["varnish", "nginx"])
@pytest.mark.parametrize(
    "header", ["x-forwarded-host", "x-original-url", "cf-ipcountry", "X-Region"]
)
def test_what_a_client_must_not_send_is_removed(vendor: str, header: str) -> None:
    text = render(vendor, fronts=["10.0.0.0/8"]).lower()
    line = f"unset req.http.{header}" if vendor == "varnish" else f"proxy_set_header {header} $r"
    assert line.lower() in text


COOKIES = [
    ("_ga=1", True), ("_ga_ABC=1; _gid=2", True), ("mp_x=1", True),
    ("sid=1", False), ("_ga=1; sid=1", False), ("_ga_X=1; sid=1", False), ("mp_a; sid=1", False),
    ("ajs_=1; regionware-session=x", False), ("sid=_ga", False), ("x_ga=1", False),
]  # fmt: skip


@pytest.mark.parametrize(("cookies", "harmless"), COOKIES)
def test_only_harmless_cookies_are_harmless(cookies: str, harmless: bool) -> None:
    """A pattern that reaches over a separator would hide a session behind a counter."""
    text = render("nginx")
    found = re.search(r'"~(\^:.*)" "";', text)
    assert found is not None
    assert bool(re.search(found[1], f":{cookies}")) is harmless


def test_a_greedy_pattern_is_noticed() -> None:
    """The control."""
    greedy = Setting().harmless_cookies.replace("[^=; ]*", ".*")
    assert re.search(f"^({greedy})=[^;]*(; *({greedy})=[^;]*)*$", "_ga_X=1; sid=1")


WRONG = [
    {"backend_host": 'a"; }'}, {"backend_port": 0}, {"listen": "80; include x"},
    {"directory": "a;b"}, {"purgers": ["everyone"]}, {"purgers": []}, {"fronts": ["10.0.0.0/40"]},
    {"region_field": "X Region"}, {"regions": ('a"b',)}, {"refresh_secret": 'a"b'},
    {"refresh_field": "a:b"},
]  # fmt: skip


@pytest.mark.parametrize("options", WRONG, ids=str)
@pytest.mark.parametrize("vendor", ["varnish", "nginx"])
def test_what_would_write_another_configuration_is_refused(
    vendor: str, options: dict[str, Any]
) -> None:
    with pytest.raises(ConfigurationError, match="cdn-config"):
        render(vendor, **options)


def test_an_unknown_vendor_is_named() -> None:
    with pytest.raises(ConfigurationError, match="no vendor 'nobody'"):
        render("nobody")


@pytest.mark.parametrize("vendor", sorted(filter(None, VENDORS)))
def test_there_is_one_for_every_vendor(vendor: str) -> None:
    text = render(vendor, application(vendor))
    assert f"cdn-config {vendor}" in text
    assert "<<" not in text
    if VENDORS[vendor].caches:
        assert "regionware-session" in text or vendor == "fastly", "any cookie passes by there"
        assert "x-forwarded-host" in text
        assert "/static/" in text or vendor in {"netlify", "vercel"} or "static" in text


def application(vendor: str) -> Regionware:
    cdn = Cdn(max_age=10, shared_max_age=60, vendor=vendor)
    return Regionware(
        topology=TOPOLOGY, secret="a secret of the tests",
        routes=[Route("/static/{path:path}", cdn=Cdn.static(vendor=vendor)), Route("/x", cdn=cdn)],
    )  # fmt: skip


SHOP = Regionware(routes=[Route("/static/{path:path}", cdn=Cdn.static(vendor="fastly"))])


def test_a_region_is_told_to_fastly_by_the_country() -> None:
    cdn = Cdn(max_age=10, by="region", attested=True, vendor="fastly")
    rw = Regionware(topology=TOPOLOGY, secret="a secret of the tests",
                    routes=[Route("/x", cdn=cdn)])  # fmt: skip
    text = render("fastly", rw)
    assert '"DE": "fra"' in text
    assert '"US": "iad"' in text
    assert "set req.http.X-Region = table.lookup(regionware_regions" in text
    assert "regionware_regions" not in render("fastly", application("fastly"))


def test_a_replay_has_its_named_location(tmp_path: Path) -> None:
    places = (("@primary", "https://iad.internal"),)
    text = render("nginx", directory="cache", listen="127.0.0.1:8099", replays=places)
    assert "location @primary" in text
    assert "proxy_pass https://iad.internal;" in text
    done = load_nginx(text, tmp_path)
    assert done.returncode == 0 or "host not found" in done.stderr, done.stderr


def test_the_command_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["cdn-config", "varnish", "--backend-port", "9000", "--front", "10.0.0.0/8"]
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert printed == render("varnish", backend_port=9000, fronts=["10.0.0.0/8"])
    assert main(["cdn-config", "fastly", f"{__name__}:SHOP"]) == 0
    assert "^/static/" in capsys.readouterr().out
    assert main(["cdn-config", "nginx", "regionware.demo.asgi:nothing"]) == 2
    assert main(["cdn-config", "nobody"]) == 2
    assert main(["cdn-config", "varnish", "--front", "everyone"]) == 2


def test_parts_of_nginx_make_the_whole() -> None:
    whole = render("nginx")
    assert render("nginx", part="http") in whole
    for line in render("nginx", part="server").splitlines():
        assert line in whole
    assert "listen" not in render("nginx", part="server")
