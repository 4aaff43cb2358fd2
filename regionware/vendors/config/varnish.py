"""VCL for Varnish 7 with the module xkey."""

from typing import Final

from regionware.vendors.config.filling import fill
from regionware.vendors.config.setting import Setting

#: One stands before the other: the fields are told apart by the first argument.
_VCL: Final = r"""vcl 4.1;

# From `regionware cdn-config varnish`. Varnish 7.0 or later, with vmod xkey (varnish-modules).
# The application must know this server as trusted=[...].

import cookie;
import std;
import var;
import xkey;

backend application {
    .host = "<<host>>";
    .port = "<<port>>";
}

# Who may purge.
acl purgers {
<<purgers>>
}
<<fronts>>
sub regionware_purge {
    # Not what a proxy beside this server hands on for its clients; Varnish has put one address
    # into X-Forwarded-For itself.
    if (client.ip !~ purgers || req.http.X-Forwarded-For ~ ","
        || req.http.Forwarded || req.http.X-Real-IP) {
        return (synth(405, "Not allowed"));
    }
    if (req.method == "PURGE" && req.http.xkey) {
        set req.http.purged = xkey.purge(req.http.xkey);
    } elsif (req.method == "PURGE" && req.http.xkey-softpurge) {
        set req.http.purged = xkey.softpurge(req.http.xkey-softpurge);
    } elsif (req.method == "BAN" && req.http.x-url && req.http.x-host) {
        if (std.ban("obj.http.x-url ~ " + req.http.x-url
                    + " && obj.http.x-host ~ " + req.http.x-host)) {
            set req.http.purged = "ban";
        }
    } elsif (req.method == "BAN" && req.http.x-url) {
        if (std.ban("obj.http.x-url ~ " + req.http.x-url)) {
            set req.http.purged = "ban";
        }
    } elsif (req.method == "BAN" && req.http.x-cache-tags) {
        if (std.ban("obj.http.x-cache-tags ~ " + req.http.x-cache-tags)) {
            set req.http.purged = "ban";
        }
    }
    if (!req.http.purged) {
        return (synth(400, "Nothing named"));
    }
    return (synth(200, "Purged"));
}

# What would let a client rewrite its request, or choose its region.
sub regionware_hygiene {
<<hygiene>>
    if (!req.http.X-Forwarded-Proto) {
        set req.http.X-Forwarded-Proto = "http";
    }
<<regions>>}

sub vcl_recv {
    if (req.restarts == 0) {
        unset req.http.X-Regionware-Turn;
        unset req.http.purged;
        # Before x-host is removed, which is a part of purges as well as of attacks.
        if (req.method == "PURGE" || req.method == "BAN") {
            call regionware_purge;
        }
        call regionware_hygiene;
    } elsif (req.http.X-Regionware-Turn == "fetch") {
        set req.grace = 0s;
    } else {
        set req.grace = 1y;
    }
    if (req.http.Upgrade) {
        return (pipe);
    }
    # What a body asks for, a key cannot say.
    if ((req.method == "GET" || req.method == "HEAD")
        && (req.http.Transfer-Encoding || req.http.Content-Length ~ "[1-9]")) {
        return (pass);
    }
    # Sessions and debugging are for one client.
    if (req.http.Regionware-Session || req.http.Regionware-Debug) {
        return (pass);
    }
    if (req.http.Cookie) {
        # Cookies that only scripts in the browser read do not count; any other one passes by,
        # in the built-in VCL<<cookies>>.
        cookie.parse(req.http.Cookie);
        cookie.filter_re("^(<<harmless>>)$");
        if (cookie.get_string() == "") {
            unset req.http.Cookie;
        }
    }
<<static>>}

sub vcl_backend_fetch {
    var.set("turn", bereq.http.X-Regionware-Turn);
    unset bereq.http.X-Regionware-Turn;
}

# A failed refresh leaves what is there. To be kept, even for no time at all, would make it the
# newest answer, and hide the stale one.
sub regionware_failed {
    if (bereq.is_bgfetch || var.get("turn") == "fetch") {
        return (abandon);
    }
}

sub vcl_backend_error {
    call regionware_failed;
}

sub vcl_backend_response {
    # For bans; removed at delivery.
    set beresp.http.x-url = bereq.url;
    set beresp.http.x-host = bereq.http.host;
    set beresp.http.x-cache-tags = beresp.http.xkey;
    unset beresp.http.x-stale;
    set beresp.grace = 0s;
    if (beresp.status >= 500) {
        if (beresp.status == 500 || (beresp.status >= 502 && beresp.status <= 504)) {
            call regionware_failed;
        }
        set beresp.uncacheable = true;
        set beresp.ttl = 0s;
        return (deliver);
    }
    # Nothing is kept that nobody has given a lifetime; nothing that is for one client.
    if ((!beresp.http.Cache-Control && !beresp.http.Expires)
        || beresp.http.Cache-Control ~ "(?i)(^|[ ,])(private|no-store|no-cache)"
        || beresp.http.CDN-Cache-Control ~ "(?i)(^|[ ,])(private|no-store|no-cache)"
        || beresp.http.Set-Cookie || beresp.http.Vary ~ "(\*|(?i)cookie|(?i)authorization)") {
        set beresp.uncacheable = true;
        set beresp.ttl = 120s;
        return (deliver);
    }
    # The targeted field (RFC 9213) says how long for this edge, and for how long stale.
    if (beresp.http.CDN-Cache-Control ~ "(^|[ ,])max-age=[0-9]+") {
        set beresp.ttl = std.duration(regsub(beresp.http.CDN-Cache-Control,
            "^(.*[ ,])?max-age=([0-9]+).*$", "\2") + "s", 0s) - beresp.age;
    }
    if (beresp.http.CDN-Cache-Control ~ "(^|[ ,])stale-while-revalidate=[0-9]+") {
        set beresp.http.x-stale = regsub(beresp.http.CDN-Cache-Control,
            "^(.*[ ,])?stale-while-revalidate=([0-9]+).*$", "\2") + "s";
        set beresp.grace = std.duration(beresp.http.x-stale, 0s);
    }
    if (beresp.http.CDN-Cache-Control ~ "(^|[ ,])stale-if-error=[0-9]+") {
        if (std.duration(regsub(beresp.http.CDN-Cache-Control,
            "^(.*[ ,])?stale-if-error=([0-9]+).*$", "\2") + "s", 0s) > beresp.grace) {
            set beresp.grace = std.duration(regsub(beresp.http.CDN-Cache-Control,
                "^(.*[ ,])?stale-if-error=([0-9]+).*$", "\2") + "s", 0s);
        }
    }
    if (beresp.ttl <= 0s) {
        set beresp.uncacheable = true;
        set beresp.ttl = 120s;
    }
    return (deliver);
}

sub vcl_hit {
    # Past stale-while-revalidate: the application is asked first, and the stale answer is for
    # the case that it fails (stale-if-error).
    if (obj.ttl <= 0s && req.http.X-Regionware-Turn != "stale"
        && obj.ttl + std.duration(obj.http.x-stale, 0s) <= 0s) {
        set req.http.X-Regionware-Turn = "fetch";
        return (restart);
    }
}

sub vcl_deliver {
    unset resp.http.x-url;
    unset resp.http.x-host;
    unset resp.http.x-cache-tags;
    unset resp.http.x-stale;
    unset resp.http.xkey;
    unset resp.http.CDN-Cache-Control;
}

sub vcl_synth {
    if (req.http.X-Regionware-Turn == "fetch") {
        set req.http.X-Regionware-Turn = "stale";
        return (restart);
    }
    if (req.http.purged) {
        set resp.http.purged = req.http.purged;
    }
}
"""

_FRONTS: Final = """
# Proxies before this server, whose word on scheme and region is believed.
acl fronts {
<<networks>>
}
"""

_STATIC: Final = """\
    # Never dependent on cookies; another spelling might be another path to the application.
    if (req.url !~ "^[^?]*(%|//|/\\.)" && regsub(req.url, "\\?.*$", "") ~ "<<pattern>>") {
        unset req.http.Cookie;
    }
"""


def render(setting: Setting) -> str:
    """The whole VCL."""
    fronts = fill(_FRONTS, networks=_networks(setting.fronts)) if setting.fronts else ""
    cookies = ", " + " and ".join(setting.private_cookies) if setting.private_cookies else ""
    return fill(
        _VCL,
        host=setting.backend_host.strip("[]"),
        port=str(setting.backend_port),
        purgers=_networks(setting.purgers),
        fronts=fronts,
        hygiene=_hygiene(setting),
        regions=_regions(setting),
        cookies=cookies,
        harmless=setting.harmless_cookies,
        static="".join(fill(_STATIC, pattern=pattern) for pattern in setting.static),
    )


def _networks(networks: object) -> str:
    lines = []
    for network in networks if isinstance(networks, (list, tuple)) else ():
        address, _, length = str(network).partition("/")
        lines.append(f'    "{address}"{"/" + length if length else ""};')
    return "\n".join(lines)


def _hygiene(setting: Setting) -> str:
    gone = [f"unset req.http.{name};" for name in setting.forged]
    if not setting.fronts:
        return "\n".join(f"    {line}" for line in gone)
    lines = "\n".join(f"        {line}" for line in gone)
    return f"    if (client.ip !~ fronts) {{\n{lines}\n    }}"


def _regions(setting: Setting) -> str:
    """A region is one that there is, or none: it is bounded, and so is what `Vary` makes of it."""
    if not setting.varies:
        return ""
    field, names = setting.region_field, "|".join(setting.regions).replace(".", "\\.")
    return (
        f"    # Answers that differ by region say so in Vary; the field is one of these, or none.\n"
        f'    if (req.http.{field} !~ "^({names})$") {{\n'
        f"        unset req.http.{field};\n"
        f"    }}\n"
    )
