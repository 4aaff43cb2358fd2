"""A way into the application: who is believed there, and about what.

A CDN or a load balancer sets some headers, and passes on whatever else a client sends. So an
`Ingress` says how it is known that a request came through it, and which headers it sets; nothing
else is believed. A list of addresses alone shows little where a CDN is concerned: all of its
customers reach the application from there.
"""

import logging
from collections.abc import Iterable
from typing import Final, Self, TypedDict, Unpack

from regionware.errors import ConfigurationError
from regionware.http.fields import is_token
from regionware.kinds import ANYTHING, BOOLEAN, TEXT, Kind, any_of, list_of, matching, maybe
from regionware.locate.addresses import SINGLE
from regionware.locate.peers import PRIVATE, UNIX, Peers
from regionware.locate.platforms import PLATFORMS
from regionware.locate.way import LISTS, PEER, Way

_log = logging.getLogger("regionware.locate")

#: What is the client's own to say; nothing here may remove it.
_NEVER: Final = frozenset(
    {
        "accept", "accept-encoding", "accept-language", "authorization", "cache-control",
        "connection", "content-length", "content-type", "cookie", "host", "range",
        "transfer-encoding", "user-agent",
    }
)  # fmt: skip
_SECRET: Final = matching(r"[!-~]{16,256}", "16 to 256 visible ASCII characters without spaces")
_SECRET_KIND: Final = Kind(_SECRET.words, _SECRET.fits)  # never shown
_NAMES: Final = list_of(TEXT, "names")
_KINDS: Final[dict[str, Kind]] = {
    "name": matching(r"[a-z0-9][a-z0-9_-]{0,31}", "1 to 32 of a-z, 0-9, _ and -"),
    "platforms": _NAMES,
    "secret": maybe(any_of(f"{_SECRET.words}, or a list of these", _SECRET_KIND,
                           list_of(_SECRET_KIND, "secrets", least=1))),
    "private": BOOLEAN,
    "proto": BOOLEAN,
    "host": BOOLEAN,
    "hops": list_of(ANYTHING, "networks"),
    "headers": _NAMES,
    "rewritten": BOOLEAN,
}  # fmt: skip


class Options(TypedDict, total=False):
    """The keywords of every `Ingress`; see there."""

    secret: str | Iterable[str] | None
    header: str
    private: bool
    client: str
    proto: bool
    host: bool
    hops: Iterable[str]
    headers: Iterable[str]
    behind: "Ingress | None"
    rewritten: bool


class Ingress(Way):
    """An authenticated way into the application, for `Regionware(trusted=[...])`."""

    __slots__ = ()

    def __init__(
        self,
        *peers: str,
        name: str = "ingress",
        platforms: Iterable[str] = (),
        secret: str | Iterable[str] | None = None,
        header: str = "X-Origin-Auth",
        private: bool = False,
        client: str = "X-Forwarded-For",
        proto: bool = True,
        host: bool = False,
        hops: Iterable[str] = (),
        headers: Iterable[str] = (),
        behind: "Ingress | None" = None,
        rewritten: bool = False,
    ) -> None:
        """Say how it is known, and what it sets in every request, whatever a client sends.

        Args:
            peers: networks (CIDR), `"unix"` or `"private"`: who is at the other end of the socket,
                or asks `behind`.
            name: what it is called.
            platforms: those whose headers it sets; see `Platform`.
            secret: what it sends in `header`; a list while one is exchanged for another.
            header: where it sends the secret. The application never sees this header.
            private: a private network: the same as the peers `"private"` and `"unix"`.
            client: where the client's address is: `X-Forwarded-For` or `Forwarded`, to which it
                appends; another header, which holds one address; or `"peer"`.
            proto: it sets `X-Forwarded-Proto` (in `Forwarded`: `proto`).
            host: it sets `X-Forwarded-Host` (in `Forwarded`: `host`).
            hops: networks of further proxies that may stand between it and the client.
            headers: other headers that it sets.
            behind: the ingress through which it reaches the application.
            rewritten: the server in front of the application puts the client's address in the
                peer's place, and was told for which peers; that address is then the client's.

        Raises:
            ConfigurationError: anybody could come in, or an option cannot work.
        """
        given = {
            "name": name, "platforms": platforms, "secret": secret, "private": private,
            "proto": proto, "host": host, "hops": hops, "headers": headers, "rewritten": rewritten,
        }  # fmt: skip
        for option, kind in _KINDS.items():
            kind.check(f"Ingress: {option}", given[option])
        if behind is not None and not isinstance(behind, Ingress):
            raise ConfigurationError(f"Ingress {name!r}: behind is an Ingress, not {behind!r}")
        networks = (*peers, *((PRIVATE, UNIX) if private else ()))
        secrets = (secret,) if isinstance(secret, str) else tuple(secret or ())
        if not networks and not secrets:
            raise ConfigurationError(
                f"Ingress {name!r}: name its peers or a secret, or say private=True;"
                " otherwise anybody comes in there"
            )
        source = PEER if client == PEER else _field("client", client)
        sets = _believed(source, platforms, headers, proto=proto, host=host)
        proof = _field("header", header)
        vendors = [PLATFORMS[platform] for platform in platforms]
        if proof in {*sets.difference(*(v.sets for v in vendors)), source}:
            raise ConfigurationError(f"Ingress {name!r}: {header} holds the secret, nothing else")
        form = next((v.client_form for v in vendors if v.client.lower() == source), "address")
        super().__init__(
            name,
            peers=Peers(networks),
            hops=Peers((*networks, *hops)),
            proofs=((proof, tuple(one.encode() for one in secrets)),) if secrets else (),
            source=source,
            single=SINGLE[form],
            skip=max((v.appends for v in vendors), default=0),
            platforms=frozenset(platforms),
            believed=sets - {proof} if secrets else sets,
            proto=proto,
            host=host,
            behind=behind,
            rewritten=rewritten,
        )

    def __repr__(self) -> str:
        """What it is, without its secrets."""
        return f"<Ingress {self.name}: client={self.source}>"

    @classmethod
    def load_balancer(cls, *peers: str, **options: Unpack[Options]) -> Self:
        """A proxy of your own directly in front of the application; its addresses are needed."""
        return cls(*peers, name="load-balancer", **options)

    @classmethod
    def cloudflare(cls, *peers: str, **options: Unpack[Options]) -> Self:
        """Cloudflare; `CF-Connecting-IP`. The secret: a request header transform rule."""
        return cls._platform("cloudflare", peers, options)

    @classmethod
    def cloudfront(cls, *peers: str, **options: Unpack[Options]) -> Self:
        """Amazon CloudFront; `CloudFront-Viewer-Address`. The secret: an origin custom header."""
        return cls._platform("cloudfront", peers, options)

    @classmethod
    def fastly(cls, *peers: str, **options: Unpack[Options]) -> Self:
        """Fastly; `Fastly-Client-IP`, set by the snippet of `PLATFORMS["fastly"].setup`."""
        return cls._platform("fastly", peers, options)

    @classmethod
    def akamai(cls, *peers: str, **options: Unpack[Options]) -> Self:
        """Akamai; `True-Client-IP`, which a property must be told to send."""
        return cls._platform("akamai", peers, options)

    @classmethod
    def netlify(cls, *peers: str, **options: Unpack[Options]) -> Self:
        """Netlify in front of this application; `X-NF-Client-Connection-IP`."""
        return cls._platform("netlify", peers, options)

    @classmethod
    def google(cls, *peers: str, **options: Unpack[Options]) -> Self:
        """A Google load balancer or Cloud CDN; `X-Forwarded-For`, whose last entry is its own."""
        return cls._platform("google", peers, options)

    @classmethod
    def bunny(cls, *peers: str, **options: Unpack[Options]) -> Self:
        """Bunny; `X-Real-IP`."""
        return cls._platform("bunny", peers, options)

    @classmethod
    def azure(cls, *peers: str, fdid: str | None = None, **options: Unpack[Options]) -> Self:
        """Azure Front Door; `X-Azure-SocketIP`, as `X-Azure-ClientIP` is what a client says.

        Args:
            peers: the addresses of the service tag `AzureFrontDoor.Backend`.
            fdid: the profile's id, in `X-Azure-FDID`; others of Azure's customers can send it, but
                not from those addresses, so it needs both.
            options: see `Ingress`.

        Raises:
            ConfigurationError: see `Ingress`; or there is an id and no peers.
        """
        if fdid is None:
            return cls._platform("azure", peers, options)
        if not peers and not options.get("private"):
            raise ConfigurationError(
                "Ingress.azure: fdid is an id, no secret: name the peers as well (the service tag"
                " AzureFrontDoor.Backend), or say private=True"
            )
        if "secret" in options:
            raise ConfigurationError("Ingress.azure: fdid and secret exclude each other")
        return cls._platform("azure", peers, {**options, "secret": fdid, "header": "X-Azure-FDID"})

    @classmethod
    def fly(cls, *peers: str, **options: Unpack[Options]) -> Self:
        """Fly.io; `Fly-Client-IP`. Its proxy asks from the organisation's private network."""
        return cls._inside("fly", peers, options)

    @classmethod
    def vercel(cls, *peers: str, **options: Unpack[Options]) -> Self:
        """Vercel; `X-Real-IP`. Functions are asked from within their own machine."""
        return cls._inside("vercel", peers, options)

    @classmethod
    def _inside(cls, name: str, peers: tuple[str, ...], options: Options) -> Self:
        """A platform on which the application runs: nobody else reaches it from nearby."""
        known = peers or options.get("secret") or options.get("behind")
        return cls._platform(name, peers, options if known else {**options, "private": True})

    @classmethod
    def _platform(cls, name: str, peers: tuple[str, ...], options: Options) -> Self:
        vendor = PLATFORMS[name]
        if not peers and not options.get("secret") and not options.get("private"):
            raise ConfigurationError(
                f"Ingress.{name}: needs a secret (or its peers, or private=True): its addresses"
                " are shared by all of its customers, so they alone authenticate nobody"
            )
        if Peers(peers).is_public and not options.get("secret"):
            _log.warning(
                "Ingress.%s: its addresses are shared by all of its customers; add a secret", name
            )
        told: Options = {
            "client": vendor.client or "X-Forwarded-For",
            "proto": vendor.proto, "host": vendor.host, **options,
        }  # fmt: skip
        return cls(*peers, name=name, platforms=(name,), **told)


def _field(option: str, name: str) -> str:
    TEXT.check(f"Ingress: {option}", name)
    if not is_token(name) or "_" in name or name.lower() in _NEVER:
        raise ConfigurationError(
            f"Ingress: {option}: {name!r} is no field that a proxy could set (no underscores)"
        )
    return name.lower()


def _believed(
    source: str, platforms: Iterable[str], headers: Iterable[str], *, proto: bool, host: bool
) -> frozenset[str]:
    """The names of all headers that an ingress sets."""
    for platform in platforms:
        if platform not in PLATFORMS:
            raise ConfigurationError(f"Ingress: {platform!r} is not one of {', '.join(PLATFORMS)}")
    told = {_field("headers", name) for name in headers}
    if both := told & (LISTS - {source}):
        raise ConfigurationError(
            f"Ingress: headers: {', '.join(sorted(both))}, beside {source} for the client's"
            " address: a proxy that appends to one lets a client send the other"
        )
    told.update(*(PLATFORMS[platform].sets for platform in platforms))
    told |= {source} - {PEER}
    if source != "forwarded":
        told |= {f"x-forwarded-{name}" for name, sets in (("proto", proto), ("host", host)) if sets}
    return frozenset(told)
