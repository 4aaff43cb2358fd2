"""Edges as regionware configures them; and as they come, on which the positive controls stand."""

from typing import Any

from regionware import Regionware
from regionware.parts.nginx import Nginx
from regionware.parts.varnish import Varnish
from regionware.vendors.config import render


def backend(port: int) -> str:
    return f'vcl 4.1;\nbackend default {{ .host = "127.0.0.1"; .port = "{port}"; }}\n'


def plain_varnish(port: int) -> Varnish:
    """Nothing but a backend: what Varnish does by itself."""
    return Varnish(backend(port))


CACHE = "proxy_cache_path cache keys_zone=edge:1m;"


def location(port: int, more: str = "") -> str:
    return f"""
    location / {{
        proxy_pass http://127.0.0.1:{port};
        proxy_set_header Host $http_host;
        proxy_cache edge;
        proxy_cache_key $scheme$http_host$request_uri;
        {more}
    }}
    """


def plain_nginx(port: int) -> Nginx:
    """Nothing but a cache: what nginx does by itself."""
    return Nginx(location(port), http=CACHE)


def varnish(port: int, rw: Regionware | None = None, **options: Any) -> Varnish:
    """Varnish with exactly what `regionware cdn-config varnish` prints."""
    return Varnish(render("varnish", rw, backend_port=port, **options))


def nginx(port: int, rw: Regionware | None = None, **options: Any) -> Nginx:
    """An nginx with exactly what `regionware cdn-config nginx` prints, in the part's own server."""
    options = {"directory": "cache", **options}
    http, server = (
        render("nginx", rw, backend_port=port, part=part, **options) for part in ("http", "server")
    )
    return Nginx(server, http=http)


def careless_varnish(port: int) -> Varnish:
    """What is often written, and keeps the built-in rules from being asked: look everything up."""
    return Varnish(backend(port) + "sub vcl_recv { return (hash); }\n")


def varying_varnish(port: int) -> Varnish:
    """One in which somebody was annoyed by `Vary`."""
    return Varnish(backend(port) + "sub vcl_backend_response { unset beresp.http.Vary; }\n")


def varying_nginx(port: int) -> Nginx:
    """The same of nginx."""
    return Nginx(location(port, "proxy_ignore_headers Vary;"), http=CACHE)
