"""One vendor's configuration, by its name."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from regionware.vendors.catalogue import vendor_of
from regionware.vendors.config import clouds, fastly, nginx, varnish
from regionware.vendors.config.setting import Setting, needs

if TYPE_CHECKING:
    from regionware.middleware import Regionware

#: Those with a file of their own; the others have a console.
_RENDERERS: Final[Mapping[str, Callable[[Setting], str]]] = {
    "fastly": fastly.render,
    "nginx": nginx.render,
    "varnish": varnish.render,
}


def render(
    vendor: str,
    rw: "Regionware | None" = None,
    *,
    backend_host: str = "127.0.0.1",
    backend_port: int = 8000,
    part: nginx.Part = "",
    **options: Any,
) -> str:
    """The configuration of an edge, as text with comments.

    Args:
        vendor: a word of `Cdn(vendor=...)`.
        rw: whose routes are served; without it, what any application needs.
        backend_host: where the application listens.
        backend_port: its port.
        part: of nginx's, only what is for `http` or for `server`.
        options: further ones; see `Setting`.

    Raises:
        ConfigurationError: an option is wrong, or there is no such vendor.
    """
    vendor_of(vendor)
    known = {} if rw is None else needs(rw)
    setting = Setting(
        **{**known, **options, "backend_host": backend_host, "backend_port": backend_port}
    )
    if vendor == "nginx":
        return nginx.render(setting, part)
    renderer = _RENDERERS.get(vendor)
    return clouds.render(setting, vendor) if renderer is None else renderer(setting)
