"""VCL for Fastly, as snippets: Fastly's VCL is not Varnish's of today."""

from typing import Final

from regionware.vendors.config.filling import fill
from regionware.vendors.config.setting import Setting

_VCL: Final = r"""# From `regionware cdn-config fastly`: VCL snippets, one for each place.
# Fields: Surrogate-Control and Surrogate-Key, which Fastly removes before clients see them.
# The application must know Fastly as an ingress: by a secret that only this service sends.
<<table>>
# --- recv
if (req.restarts == 0 && fastly.ff.visits_this_service == 0) {
  # What would let a client rewrite its request, or choose its region.
<<hygiene>>
  set req.http.X-Forwarded-Proto = if(fastly_info.is_h2 || req.is_ssl, "https", "http");
  set req.http.Fastly-Client-IP = client.ip;
<<region>>}
# Sessions and debugging are for one client; of cookies, only those that scripts read do not count.
if (req.http.Authorization || req.http.Regionware-Session || req.http.Regionware-Debug
    || (req.http.Cookie
        && req.http.Cookie !~ "^(<<harmless>>)=[^;]*(; *(<<harmless>>)=[^;]*)*$"<<static>>)) {
  return(pass);
}

# --- fetch
# stale-if-error (RFC 5861) is obeyed by itself only where the origin cannot be reached.
if (beresp.status >= 500 && beresp.status < 600 && stale.exists) {
  return(deliver_stale);
}
# Nothing is kept that nobody has given a lifetime; nothing that is for one client.
if ((!beresp.http.Cache-Control && !beresp.http.Surrogate-Control && !beresp.http.Expires)
    || beresp.http.Cache-Control ~ "(?i)(private|no-store|no-cache)" || beresp.http.Set-Cookie) {
  return(pass);
}

# --- error
if (obj.status >= 500 && obj.status < 600 && stale.exists) {
  return(deliver_stale);
}
"""

_REGION: Final = """\
  # Answers that differ by region say `Vary: <<field>>`; the country decides.
  set req.http.<<field>> = table.lookup(regionware_regions, client.geo.country_code, "");
"""


def render(setting: Setting) -> str:
    """The snippets."""
    table = region = ""
    if setting.varies:
        rows = ",\n".join(f'  "{code}": "{name}"' for code, name in setting.countries.items())
        table = f"\n# --- init\ntable regionware_regions {{\n{rows}\n}}\n"
        region = fill(_REGION, field=setting.region_field)
    gone = [f"  unset req.http.{name};" for name in setting.forged]
    static = "".join(
        f'\n        && !(req.url !~ "^[^?]*(%|//|/\\.)" && req.url.path ~ "{pattern}")'
        for pattern in setting.static
    )
    return fill(
        _VCL, table=table, hygiene="\n".join(gone), region=region,
        harmless=setting.harmless_cookies, static=static,
    )  # fmt: skip
