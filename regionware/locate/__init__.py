"""Where a client is: providers of claims, and how far each can be believed."""

from regionware.locate.claim import Claim, Located, Provider, Tried, Trust
from regionware.locate.client import Client
from regionware.locate.geoip import GeoIP
from regionware.locate.healthy import Health
from regionware.locate.ingress import Ingress
from regionware.locate.latency import Latency
from regionware.locate.mapping import RegionMap
from regionware.locate.metadata import Metadata
from regionware.locate.operating import Regions
from regionware.locate.pin import Pin
from regionware.locate.probe import Probe
from regionware.locate.providers import Cookie, Header, HeaderMap, Platform
from regionware.locate.resolver import Resolver

__all__ = [
    "Claim",
    "Client",
    "Cookie",
    "GeoIP",
    "Header",
    "HeaderMap",
    "Health",
    "Ingress",
    "Latency",
    "Located",
    "Metadata",
    "Pin",
    "Platform",
    "Probe",
    "Provider",
    "RegionMap",
    "Regions",
    "Resolver",
    "Tried",
    "Trust",
]
