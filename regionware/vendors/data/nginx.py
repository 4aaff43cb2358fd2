"""nginx."""

from typing import Final

from regionware.vendors.model import Statement, Vendor

_DOCS: Final = "nginx.org/en/docs/http/ngx_http_proxy_module.html"

VENDOR: Final = Vendor(
    name="nginx",
    title="nginx",
    reads=("X-Accel-Expires", "Cache-Control"),
    targeted="X-Accel-Expires",
    form="seconds",
    variance="configured",
    variance_field="X-Region",
    by_country=False,
    strips=("X-Accel-Expires",),
    purges=("url",),
    statements=(
        Statement(
            "lifetime",
            "X-Accel-Expires, in seconds, then Expires and Cache-Control (s-maxage, then max-age), "
            "then proxy_cache_valid. X-Accel-Expires beats private and no-store too: it is never "
            "beside them.",
            f"{_DOCS}#proxy_cache_valid",
        ),
        Statement(
            "lifetime",
            "Beside max-age=0, X-Accel-Expires counts only if it comes before Cache-Control: so it "
            "is sent first.",
            "nginx 1.22, three equal requests with either order",
            "measured",
        ),
        Statement(
            "lifetime",
            "It counts in whole seconds, and may keep an answer for up to one second longer.",
            "nginx 1.22, X-Accel-Expires: 2 and requests after 2.2 and 3.5 seconds",
            "measured",
        ),
        Statement(
            "lifetime",
            "Age is not read: an answer that is older than its max-age is kept for one lifetime "
            "more. The configuration keeps no answer with an Age above zero.",
            "nginx 1.22, tests/edges/test_keeping.py", "measured",
        ),
        Statement(
            "age",
            "No Age is sent, and a Date of its own. The configuration passes the application's "
            "Date on, by which clients see how old an answer is; its server must send one.",
            "nginx 1.22, tests/edges/test_keeping.py", "measured",
        ),
        Statement("lifetime", "CDN-Cache-Control is ignored.",
                  "http-tests/cache-tests, nginx 1.28", "measured"),
        Statement(
            "stale windows",
            "proxy_cache_use_stale is configuration. The directives in Cache-Control are obeyed, "
            "but browsers obey them there too, so they are not written.",
            f"{_DOCS}#proxy_cache_use_stale",
        ),
        Statement("variants", "Vary is obeyed in full.", "http-tests/cache-tests, nginx 1.28",
                  "measured"),
        Statement("cookies", "An answer with Set-Cookie is not cached.",
                  "http-tests/cache-tests, nginx 1.28", "measured"),
        Statement(
            "cookies",
            "Cookies and Authorization of a request are not looked at: by itself it gives a page "
            "that it has to those who would have got their own. The configuration lets them pass.",
            "nginx 1.22, tests/edges/test_answers.py", "measured",
        ),
        Statement("tags", "There are none.", _DOCS),
        Statement("strips", "Fields X-Accel-* do not reach clients.",
                  f"{_DOCS}#proxy_hide_header"),
        Statement("region", "proxy_cache_key with a variable that nginx has set itself.",
                  f"{_DOCS}#proxy_cache_key"),
        Statement(
            "purge",
            "proxy_cache_purge is a part of the commercial product; a GET with a header that "
            "proxy_cache_bypass names refreshes one URL.",
            f"{_DOCS}#proxy_cache_purge",
        ),
        Statement(
            "purge",
            "A refresh whose answer may not be kept leaves the old one where it is.",
            "nginx 1.22, tests/edges/test_purging.py", "measured",
        ),
    ),
)  # fmt: skip
