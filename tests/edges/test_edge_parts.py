"""Varnish and nginx start, answer, freeze and end, as root and as an ordinary user."""

import http.client
from collections.abc import Callable
from pathlib import Path

import pytest

from regionware.errors import ConfigurationError
from regionware.parts import binaries
from regionware.parts.binaries import Account
from regionware.parts.edge import Edge
from regionware.parts.nginx import Nginx
from regionware.parts.process import ServerFailed, accepts
from regionware.parts.varnish import Varnish
from tests.edges.rig import LIMIT, parts_of_edges

pytestmark = parts_of_edges

#: Both answer by themselves: no application is needed to see that they run.
HELLO = """
vcl 4.1;
backend default none;
sub vcl_recv { return (synth(200, "hello")); }
"""


def varnish(account: Account | None = None) -> Edge:
    return Varnish(HELLO, account=account)


def nginx(account: Account | None = None) -> Edge:
    return Nginx("location / { return 200 hello; }", account=account)


def broken_varnish() -> Edge:
    return Varnish("vcl 4.1; import nothing_of_the_kind;")


def broken_nginx() -> Edge:
    return Nginx("no_such_directive on;")


BOTH = pytest.mark.parametrize("make", [varnish, nginx])


def status(edge: Edge, timeout: float = LIMIT) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", edge.port, timeout=timeout)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status
    finally:
        connection.close()


@BOTH
def test_it_starts_freezes_and_ends(make: Callable[[], Edge]) -> None:
    with make() as edge:
        assert status(edge) == 200
        assert edge.start() is edge
        edge.pause()
        with pytest.raises(TimeoutError):
            status(edge, timeout=0.3)
        edge.resume()
        assert status(edge) == 200
        edge.kill()
        assert not edge.running
        assert not accepts(edge.port)
        edge.restart()
        assert status(edge) == 200
        folder = edge._directory
        assert folder is not None
        pids = edge.pids()
        assert pids
    assert not edge.running
    assert not accepts(edge.port)
    assert not folder.exists()
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]


@BOTH
def test_an_ordinary_user_runs_it(make: Callable[[Account | None], Edge]) -> None:
    account = binaries.unprivileged()  # Nobody, where the tests run as root; else who runs them.
    with make(account) as edge:
        assert status(edge) == 200
        if account is not None:
            assert {Path(f"/proc/{pid}").stat().st_uid for pid in edge.pids()} == {account.uid}


@BOTH
def test_a_good_configuration_is_accepted(make: Callable[[], Edge]) -> None:
    edge = make()
    edge.check()
    assert not edge.running
    with edge:
        edge.check()  # Beside the running server, which it leaves alone.
        assert status(edge) == 200


@pytest.mark.parametrize(
    ("make", "words"),
    [(broken_varnish, "nothing_of_the_kind"), (broken_nginx, "no_such_directive")],
)
def test_a_bad_configuration_is_refused(make: Callable[[], Edge], words: str) -> None:
    with pytest.raises(ServerFailed, match=words):
        make().check()
    with pytest.raises(ServerFailed, match=words):
        make().start()


@pytest.mark.parametrize(
    ("make", "variable", "packages"),
    [
        (varnish, binaries.VARNISH_VARIABLE, "varnish and varnish-modules"),
        (nginx, binaries.NGINX_VARIABLE, "nginx"),
    ],
)
def test_a_missing_program_says_what_to_install(
    make: Callable[[], Edge],
    variable: str,
    packages: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(binaries, "_SBIN", str(tmp_path))
    with pytest.raises(ConfigurationError, match=f"Debian's {packages}, or set {variable}"):
        make()
    monkeypatch.setenv(variable, str(tmp_path))
    with pytest.raises(ConfigurationError, match=f"{variable}=.* is no program"):
        make()


def test_programs_beside_the_path_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {binaries.varnishd(), binaries.nginx()}
    for variable in (binaries.VARNISH_VARIABLE, binaries.NGINX_VARIABLE):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(binaries, "_SBIN", ":".join(str(path.parent) for path in found))
    assert {binaries.varnishd(), binaries.nginx()} == found
