"""Whether a response's content is what the path's extension promises. No I/O here.

`/account/x.css` is answered by many frameworks as `/account` is: with somebody's page. A rule for
`*.css` would publish it (web-cache deception; Mirheidari et al., USENIX Security 2020). So what is
sent under the name of a static file, and is a page or data instead, is not what the rule is for.
Cloudflare's "Cache Deception Armor" asks the same question.

It errs on the side of "fits": only extensions that are known, and only types that carry pages or
data. `photo.jpg` as `image/webp`, anything as `application/octet-stream`, `three.js` as
`text/plain`: none of these shows anybody's account.
"""

from typing import Final

#: Types that carry pages or data; `+json` and `+xml` are added to them by their suffix.
_PAGES: Final = frozenset(
    {
        "application/json",
        "application/x-ndjson",
        "application/xhtml+xml",
        "application/xml",
        "text/html",
        "text/xml",
    }
)
_XML: Final = frozenset({"application/xml", "text/xml"})
_JSON: Final = frozenset({"application/json"})
_NONE: Final[frozenset[str]] = frozenset()

_FILES: Final = (
    "7z apk avi avif bin bmp bz2 class css csv dmg doc docx ejs eot eps exe flac gif gz ico ics "
    "iso jar jpeg jpg js mid midi mjs mkv mp3 mp4 ogg otf pdf pict png ppt pptx ps rar swf tar "
    "tif tiff ttf txt vtt wasm wav webm webp woff woff2 xls xlsx zip zst"
)
#: Extensions of static files, in lower case, and which of those types they may have all the same.
_EXTENSIONS: Final[dict[str, frozenset[str]]] = {
    **dict.fromkeys(_FILES.split(), _NONE),
    "map": _JSON,
    **dict.fromkeys(("svg", "svgz"), _XML | {"image/svg+xml"}),
}


def extension(path: str) -> str:
    """The extension of a path's last segment, in lower case; empty where there is none."""
    _, dot, found = path.rpartition("/")[2].rpartition(".")
    return found.lower() if dot else ""


def is_static(path: str) -> bool:
    """Whether a path is named like a static file."""
    return extension(path) in _EXTENSIONS


def disagrees(path: str, content_type: str) -> bool:
    """Whether a page or data is sent under the name of another kind of file.

    Args:
        path: the decoded path.
        content_type: the `Content-Type` field; an empty string for none.
    """
    allowed = _EXTENSIONS.get(extension(path))
    if allowed is None:
        return False
    media = content_type.partition(";")[0].strip(" \t").lower()
    carries = media in _PAGES or media.endswith(("+json", "+xml"))
    return carries and media not in allowed
