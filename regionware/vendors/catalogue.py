"""Every vendor, by the word for it."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from regionware.errors import ConfigurationError
from regionware.vendors.data import (
    akamai,
    anyone,
    azure,
    bunny,
    cloudflare,
    cloudfront,
    fastly,
    fly,
    google,
    netlify,
    nginx,
    varnish,
    vercel,
)
from regionware.vendors.model import Vendor

_FILES: Final = (
    akamai, azure, bunny, cloudflare, cloudfront, fastly, fly, google, netlify, nginx, varnish,
    vercel,
)  # fmt: skip

#: `None` is for fields that any CDN may read.
VENDORS: Final[Mapping[str | None, Vendor]] = MappingProxyType(
    {None: anyone.VENDOR} | {file.VENDOR.name: file.VENDOR for file in _FILES}
)


def vendor_of(name: str | None) -> Vendor:
    """What is known of a vendor.

    Raises:
        ConfigurationError: nothing is.
    """
    found = VENDORS.get(name)
    if found is None:
        known = ", ".join(sorted(each for each in VENDORS if each))
        raise ConfigurationError(f"no vendor {name!r} in this version; there is {known}")
    return found
