"""Amazon CloudFront."""

from typing import Final

from regionware.vendors.data.alphabets import NO_WILDCARD
from regionware.vendors.model import Statement, TagField, Vendor

_DOCS: Final = "docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide"

VENDOR: Final = Vendor(
    name="cloudfront",
    title="Amazon CloudFront",
    reads=("Cache-Control",),
    unsaid=("stale-if-error",),
    tags=TagField(
        name="Cache-Tag", separator=",", marks=NO_WILDCARD, longest=256, total=8192, count=50,
        folds=True,
    ),
    ignores_vary=True,
    variance="configured",
    variance_field="CloudFront-Viewer-Country",
    purges=("tag", "url", "prefix", "everything"),
    statements=(
        Statement(
            "lifetime",
            "s-maxage, then max-age, then Expires, within the Minimum and Maximum TTL of the cache "
            "policy.",
            f"{_DOCS}/Expiration.html",
        ),
        Statement(
            "lifetime",
            "A Minimum TTL above 0 keeps even private and no-store: it must be 0.",
            f"{_DOCS}/Expiration.html",
            "unverified",
        ),
        Statement(
            "stale windows",
            "Both directives are obeyed in Cache-Control, where browsers read them too; beside "
            "s-maxage they are not written.",
            "aws.amazon.com/about-aws/whats-new, 2023-05-17",
        ),
        Statement(
            "stale windows",
            "While the origin is unavailable it serves stale answers without a limit of its own, "
            "unless stale-if-error=0 forbids it.",
            f"repost.aws QUV3mWXzAZSOqimw3m3fnu0g; {_DOCS}/Expiration.html",
        ),
        Statement(
            "variants", "Vary is obeyed only through the cache policy.", f"{_DOCS}/Expiration.html",
            "unverified",
        ),
        Statement(
            "cookies",
            "An answer with Set-Cookie may be cached, with its cookie: such an answer must be "
            "private.",
            f"{_DOCS}/Cookies.html",
        ),
        Statement(
            "tags",
            "The field is named by CacheTagConfig of the distribution, without which tags are "
            "ignored. 50 tags, 256 characters of each, visible ASCII without a comma; case does "
            "not count. Tags past the limit are dropped in silence.",
            f"{_DOCS}/invalidation-specifying-tags.html",
        ),
        Statement(
            "tags", "The octets of the whole field are not documented; 8,192 is our own limit.",
            f"{_DOCS}/invalidation-specifying-tags.html", "unverified",
        ),
        Statement("strips", "Nothing of ours.", f"{_DOCS}/Expiration.html", "unverified"),
        Statement(
            "region",
            "A cache policy with the header CloudFront-Viewer-Country has it in the key and sends "
            "it to the origin.",
            f"{_DOCS}/adding-cloudfront-headers.html",
        ),
        Statement(
            "purge",
            "An invalidation names paths, or tags as #tag; no asterisk in tags; there is no soft "
            "purge.",
            f"{_DOCS}/invalidation-specifying-tags.html",
        ),
    ),
)  # fmt: skip
