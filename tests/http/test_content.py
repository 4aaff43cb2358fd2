"""What a path's extension promises, and what is sent under it."""

import pytest

from regionware.http.content import disagrees, extension, is_static

#: The path, the type, and whether it fits.
TYPES = [
    ("/a.css", "text/css", True),
    ("/a.css", "text/plain", True),
    ("/a.css", "application/octet-stream", True),
    ("/a.css", "text/html", False),
    ("/a.css", "TEXT/HTML ; charset=utf-8", False),
    ("/a.css", "application/json", False),
    ("/a.css", "application/problem+json", False),
    ("/a.CSS", "text/html", False),
    ("/a.png", "image/webp", True),
    ("/a.png", "application/xhtml+xml", False),
    ("/a.svg", "image/svg+xml", True),
    ("/a.svg", "text/xml", True),
    ("/a.svg", "text/html", False),
    ("/a.js.map", "application/json", True),
    ("/a.js", "application/json", False),
    ("/a.html", "text/html", True),
    ("/a.json", "text/html", True),
    ("/a.php", "text/html", True),
    ("/a", "text/html", True),
    ("/css", "text/html", True),
    ("/a.css/b", "text/html", True),
    ("/v1.2/b", "text/html", True),
]


@pytest.mark.parametrize(("path", "kind", "fits"), TYPES)
def test_a_page_is_no_style_sheet(path: str, kind: str, fits: bool) -> None:
    """Only known extensions, and only pages and data under them: the others are left alone."""
    assert disagrees(path, kind) is not fits


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/a.css", "css"), ("/a.b/c", ""), ("/", ""), ("", ""), ("/.css", "css"), ("/a.", ""),
        ("/a.tar.GZ", "gz"), ("/a.css/", ""),
    ],
)  # fmt: skip
def test_the_extension_is_that_of_the_last_segment(path: str, found: str) -> None:
    assert extension(path) == found


def test_no_type_at_all_says_nothing() -> None:
    assert is_static("/a.css")
    assert not disagrees("/a.css", "")
