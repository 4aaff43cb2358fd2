"""A request as WSGI hands it over: a view of its environ, and what is taken from it."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from io import BytesIO
from typing import Any

from regionware.http.paths import is_odd_raw
from regionware.http.request import Request, RequestEdits

Environ = dict[str, Any]
StartResponse = Callable[..., Callable[[bytes], object]]
App = Callable[[Environ, StartResponse], Iterable[bytes]]

_UNPREFIXED = {"content-length": "CONTENT_LENGTH", "content-type": "CONTENT_TYPE"}
#: What a background refresh carries of an environ, besides some fields: what PEP 3333 and RFC 3875
#: define. Whatever is around us may have put an identity elsewhere.
_STANDARD = ("wsgi.", "SERVER_")
#: Where servers put the target as it was sent.
_TARGETS = frozenset({"RAW_URI", "REQUEST_URI"})
_NAMES = _TARGETS | {"SCRIPT_NAME", "PATH_INFO", "QUERY_STRING"}


@lru_cache(maxsize=1024)
def variable(name: str) -> str:
    """The environ variable of a field (PEP 3333, "environ Variables")."""
    return _UNPREFIXED.get(name) or "HTTP_" + name.upper().replace("-", "_")


@lru_cache(maxsize=1024)
def _field(key: str) -> str:
    """The inverse of `variable`."""
    return key[5:].lower().replace("_", "-")


class WsgiRequest(Request):
    """A view of a WSGI environ."""

    __slots__ = ("_environ",)

    def __init__(self, environ: Environ, names: Mapping[str, str]) -> None:
        """Read what every request needs; the rest when it is asked for."""
        self._environ = environ
        self.method = environ["REQUEST_METHOD"]
        self.scheme = environ["wsgi.url_scheme"]
        self.query = environ.get("QUERY_STRING", "")
        self.root = environ.get("SCRIPT_NAME", "")
        path = environ.get("PATH_INFO", "") or "/"
        # PEP 3333 hands over octets as Latin-1; ASGI servers decode UTF-8. One spelling for both.
        self.path = path if path.isascii() else path.encode("latin-1").decode("utf-8", "replace")
        raw = environ.get("RAW_URI") or environ.get("REQUEST_URI") or "/"
        self.odd = ("%" in raw or raw[0] != "/") and is_odd_raw(
            raw.partition("?")[0].encode("latin-1", "replace")
        )
        self.peer = environ.get("REMOTE_ADDR") or None
        self.special = {
            names[key]: environ[key]
            for key in environ
            if key in names and (environ[key] or key != "CONTENT_LENGTH")
        }
        self.host = self.special["host"].lower() if "host" in self.special else ""

    def header(self, name: str) -> str | None:
        """See `Request`."""
        return self._environ.get(variable(name))

    def headers(self) -> Iterator[tuple[str, str]]:
        """See `Request`."""
        return iter(
            [
                (_field(key) if key != "CONTENT_TYPE" else "content-type", value)
                for key, value in self._environ.items()
                if key.startswith("HTTP_") or (key == "CONTENT_TYPE" and value)
            ]
        )

    def replaced(self) -> bool:
        """See `Request`. Werkzeug's `ProxyFix` notes what was there; other servers only set it.

        A proxy is not its own client, so a peer that stands at an end of the header was taken from
        there; only where everything happens on one machine is that the rule.
        """
        environ, peer = self._environ, self.peer
        before = environ.get("werkzeug.proxy_fix.orig")
        if isinstance(before, Mapping):
            return any(environ.get(name) != value for name, value in before.items())
        forwarded = self.special.get("x-forwarded-for")
        if forwarded is None or peer is None:
            return False
        ends = forwarded.split(",", 1)[0].strip(), forwarded.rpartition(",")[2].strip()
        return environ.get("REMOTE_PORT") == "0" or (peer in ends and not _is_local(peer))

    def alter(self, edits: RequestEdits) -> None:
        """See `Request`."""
        self._environ = _Altered(self._environ, edits)


class _Altered(dict[str, Any]):
    """An environ without what a request loses; made when somebody reads it."""

    def __init__(self, environ: Environ, edits: RequestEdits) -> None:
        super().__init__()
        self._before: Environ | None = environ
        self._edits = edits

    def _make(self) -> None:
        if self._before is not None:
            self.update(edited(self._before, self._edits))
            self._before = None

    def get(self, key: str, default: Any = None) -> Any:
        self._make()
        return super().get(key, default)

    def items(self) -> Any:
        self._make()
        return super().items()


def _is_local(address: str) -> bool:
    return address.startswith("127.") or address == "::1"


def edited(environ: Environ, edits: RequestEdits) -> Environ:
    """An environ without what a request loses."""
    removed = {variable(name) for name in edits.remove}
    if edits.cookie is not None:
        removed.add("HTTP_COOKIE")
    edited = {key: value for key, value in environ.items() if key not in removed}
    if edits.cookie:
        edited["HTTP_COOKIE"] = edits.cookie
    edited |= {variable(name): value for name, value in edits.put.items()}
    if edits.query is not None:
        edited["QUERY_STRING"] = edits.query
        for name in _TARGETS & edited.keys():
            # What does not count must not be read elsewhere either.
            path = edited[name].partition("?")[0]
            edited[name] = f"{path}?{edits.query}" if edits.query else path
    return edited


def impersonal(environ: Environ, carried: Iterable[str]) -> Environ:
    """The environ of a background refresh: without anything of one client's.

    Args:
        environ: of the request that triggered it.
        carried: the names of the fields that go with it.
    """
    names = _NAMES.union(map(variable, carried))
    kept = {k: v for k, v in environ.items() if k in names or k.startswith(_STANDARD)}
    kept["REQUEST_METHOD"] = "GET"
    kept["REMOTE_ADDR"] = ""  # it must be there (RFC 3875, section 4.1.8)
    kept["wsgi.input"] = BytesIO()
    return kept
