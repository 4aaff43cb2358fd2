"""Where a client is: providers of claims, and how far each can be believed."""

from regionware.locate.claim import Claim, Located, Provider, Tried, Trust
from regionware.locate.client import Client
from regionware.locate.ingress import Ingress
from regionware.locate.providers import Cookie, GeoIP, Header, Platform
from regionware.locate.resolver import Resolver

__all__ = [
    "Claim",
    "Client",
    "Cookie",
    "GeoIP",
    "Header",
    "Ingress",
    "Located",
    "Platform",
    "Provider",
    "Resolver",
    "Tried",
    "Trust",
]
