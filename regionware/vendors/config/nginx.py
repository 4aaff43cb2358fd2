"""Configuration for nginx, for the context `http`."""

import re
from typing import Final, Literal

from regionware.vendors.config.filling import fill
from regionware.vendors.config.setting import Setting

Part = Literal["", "http", "server"]

_NOTHING: Final = '""'

_HTTP: Final = r"""# From `regionware cdn-config nginx`; for the context `http`.
# The application must know this server as trusted=[...].

proxy_cache_path <<directory>> levels=1:2 keys_zone=regionware:16m max_size=1g inactive=1d
    use_temp_path=off;

# Proxies before this server, whose word on scheme and region is believed.
geo $remote_addr $regionware_front {
    default 0;
<<fronts>>}

map "$regionware_front:$http_x_forwarded_proto" $regionware_scheme {
    default $scheme;
    "1:http" http;
    "1:https" https;
}

<<believed>># A region is one that there is, or none.
map "$regionware_front:<<region_variable>>" $regionware_region {
    default "";
<<regions>>}

# What never depends on cookies. A path in another spelling might be another one to the application.
map $request_uri $regionware_odd {
    default "";
    "~^[^?]*(%|//|/\.)" 1;
}
map "$regionware_odd:$uri" $regionware_static {
    default "";
<<static>>}
map $regionware_static $regionware_cookies {
    default $http_cookie;
    1 "";
}

# Cookies that only scripts in the browser read do not count; any other one passes by<<cookies>>.
map "$regionware_static:$http_cookie" $regionware_cookie {
    default 1;
    ":" "";
    "~^1:" "";
    "~^:(<<harmless>>)=[^;]*(; *(<<harmless>>)=[^;]*)*$" "";
}

# Sessions, debugging, and what a body asks for, are for one client.
map "$http_authorization$http_regionware_session$http_regionware_debug" $regionware_own {
    default 1;
    "" "";
}
map "$http_content_length$http_transfer_encoding$http_upgrade" $regionware_body {
    default 1;
    "" "";
    "0" "";
}

# Who may have a page fetched anew: whoever knows the secret, which is never empty.
map <<refresh_variable>> $regionware_refresh {
    default "";
<<refresh>>}

# A refresh says whether it was kept: clients do not see X-Accel-Expires.
map $regionware_refresh $regionware_purged {
    default "";
    1 $upstream_http_x_accel_expires;
}

# nginx does not read Age: it would keep what is old already for a whole lifetime more. What takes
# the place of something older is kept all the same.
map "$regionware_refresh:$upstream_http_age" $regionware_aged {
    default 1;
    "~^:0*$" "";
    "~^1:" "";
}

map $http_upgrade $regionware_connection {
    default upgrade;
    "" "";
}

upstream regionware_application {
    server <<backend>>;
    keepalive 16;
}
"""

_SERVER: Final = r"""proxy_http_version 1.1;
proxy_set_header Host $http_host;
proxy_set_header Connection $regionware_connection;
proxy_set_header Upgrade $http_upgrade;
proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
proxy_set_header X-Forwarded-Proto $regionware_scheme;
proxy_set_header <<region_field>> $regionware_region;
proxy_set_header <<refresh_field>> "";
proxy_set_header Cookie $regionware_cookies;
# What would let a client rewrite its request, or choose its region.
<<hygiene>>location / {
    proxy_pass http://regionware_application;
    proxy_cache regionware;
    proxy_cache_key "$regionware_scheme|$http_host|$request_uri";
    proxy_cache_methods GET HEAD;
    proxy_cache_lock on;
    proxy_cache_revalidate on;
    # nginx sends no Age, and a Date of its own; by the application's, clients see how old it is.
    proxy_pass_header Date;
    add_header Purged $regionware_purged;
    # Stale answers are served for as long as an answer says, not for as long as there are errors.
    proxy_cache_use_stale off;
    # No proxy_cache_valid: nothing is kept that nobody has given a lifetime.
    proxy_no_cache $regionware_cookie $regionware_own $regionware_body $regionware_aged;
    proxy_cache_bypass $regionware_cookie $regionware_own $regionware_body $regionware_refresh;
}
<<replays>>"""

_REPLAY: Final = r"""
# For Write.replay("nginx"): the application answers with X-Accel-Redirect, and the request, with
# its method and its body, goes to the primary's region. Clients cannot ask for a named location.
location <<name>> {
    proxy_pass <<url>>;
    proxy_ssl_server_name on;
}
"""


def render(setting: Setting, part: Part = "") -> str:
    """A file to include in the context `http`; or what of it is for `http` or for `server`.

    In `server` there is no `listen`: it belongs to whoever writes that block.
    """
    http, server = _http(setting), _server(setting)
    if part == "http":
        return http
    if part == "server":
        return server
    inner = "\n".join(f"    {line}" if line else "" for line in server.splitlines())
    return f"{http}\nserver {{\n    listen {setting.listen};\n{inner}\n}}\n"


def _http(setting: Setting) -> str:
    cookies = ": " + ", ".join(setting.private_cookies) if setting.private_cookies else ""
    # As a pattern: strings are compared without regard to case.
    refresh = f'    "~^{re.escape(setting.refresh_secret)}$" 1;\n' if setting.refresh_secret else ""
    regions = setting.regions if setting.varies else ()
    host = setting.backend_host
    return fill(
        _HTTP,
        directory=setting.directory,
        fronts="".join(f"    {network} 1;\n" for network in setting.fronts),
        region_variable=variable(setting.region_field),
        believed=_from_fronts(setting),
        regions="".join(f'    "1:{name}" "{name}";\n' for name in regions),
        static="".join(f'    "~^:{one.removeprefix("^")}" 1;\n' for one in setting.static),
        cookies=cookies,
        harmless=setting.harmless_cookies,
        refresh_variable=variable(setting.refresh_field),
        refresh=refresh,
        backend=f"[{host}]:{setting.backend_port}"
        if ":" in host and not host.startswith("[")
        else f"{host}:{setting.backend_port}",
    )


def _server(setting: Setting) -> str:
    return fill(
        _SERVER,
        region_field=setting.region_field,
        refresh_field=setting.refresh_field,
        hygiene="".join(
            f"proxy_set_header {name} {_believed(name) if setting.fronts else _NOTHING};\n"
            for name in _hygiene(setting)
        ),
        replays="".join(fill(_REPLAY, name=name, url=url) for name, url in setting.replays),
    )


def _hygiene(setting: Setting) -> list[str]:
    """The fields that are removed, or believed, as they are."""
    ours = {"x-forwarded-proto", setting.region_field.lower()}
    return [name for name in setting.forged if name not in ours]


def _believed(field: str) -> str:
    """The variable with a field that only a proxy before us may send."""
    return "$rw_" + field.replace("-", "_")


def _from_fronts(setting: Setting) -> str:
    if not setting.fronts:
        return ""
    maps = (
        f'map $regionware_front {_believed(name)} {{ default ""; 1 {variable(name)}; }}\n'
        for name in _hygiene(setting)
    )
    return "variables_hash_max_size 2048;\n" + "".join(maps) + "\n"


def variable(field: str) -> str:
    """The variable that holds a request field."""
    return "$http_" + field.lower().replace("-", "_")
