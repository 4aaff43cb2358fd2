"""Edges as somebody sets them up who has read nothing: the positive controls stand on these."""

from regionware.parts.nginx import Nginx
from regionware.parts.varnish import Varnish


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
