"""What application code can know of its own answer."""

import regionware
from regionware.adapters.wsgi_request import Environ, StartResponse
from regionware.policies import Route
from regionware.topology import Region, Topology


def test_the_application_sees_what_its_answer_is_made_from() -> None:
    seen: list[regionware.Current] = []

    def app(environ: Environ, start_response: StartResponse) -> list[bytes]:
        state = regionware.current()
        assert state is not None
        seen.append(state)
        start_response("200 OK", [])
        return [b""]

    regions = [Region("iad", primary=True), Region("fra")]
    rw = regionware.Regionware(
        topology=Topology(here="fra", regions=regions), routes=[Route("/items/{id}")]
    )
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/items/7", "wsgi.url_scheme": "http"}
    list(rw.wsgi(app)(environ, lambda *_: lambda _: None))
    provenance = seen[0].provenance
    assert (provenance.rule, provenance.region, provenance.here) == ("/items/{id}", "fra", "fra")
    assert (provenance.tier, provenance.hosts, provenance.position) == ("application", (), None)
    assert provenance.written is None
