"""Where a client is: providers of claims, and how far each can be believed."""

from regionware.locate.claim import Claim, Located, Provider, Trust
from regionware.locate.providers import Cookie, GeoIP, Header, Platform
from regionware.locate.resolver import Resolver

__all__ = [
    "Claim",
    "Cookie",
    "GeoIP",
    "Header",
    "Located",
    "Platform",
    "Provider",
    "Resolver",
    "Trust",
]
