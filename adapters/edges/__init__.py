"""CDNs and reverse proxies in front, which purges are sent to; one small file each."""

from regionware.adapters.edges.bunny import Bunny
from regionware.adapters.edges.cloudflare import Cloudflare
from regionware.adapters.edges.cloudfront import CloudFront
from regionware.adapters.edges.fastly import Fastly
from regionware.adapters.edges.nginx import Nginx
from regionware.adapters.edges.protocol import (
    Capabilities,
    EdgeAnswer,
    EdgePurge,
    EdgePurger,
    EdgeRequest,
    Rate,
    Verdict,
)
from regionware.adapters.edges.sigv4 import Credentials
from regionware.adapters.edges.varnish import Varnish

__all__ = [
    "Bunny",
    "Capabilities",
    "CloudFront",
    "Cloudflare",
    "Credentials",
    "EdgeAnswer",
    "EdgePurge",
    "EdgePurger",
    "EdgeRequest",
    "Fastly",
    "Nginx",
    "Rate",
    "Varnish",
    "Verdict",
]
