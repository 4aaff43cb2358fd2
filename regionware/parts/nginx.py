"""nginx, with whatever configuration it is given."""

import os
from pathlib import Path

from regionware.parts.binaries import Account, nginx
from regionware.parts.edge import Edge

#: Relative names of files and folders are below the server's own folder (`nginx -p`).
_TEMPLATE = """\
{main}
daemon off;
worker_processes 1;
pid nginx.pid;
lock_file nginx.lock;
error_log stderr notice;
{user}
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    scgi_temp_path scgi;
    uwsgi_temp_path uwsgi;
{http}
    server {{
        listen 127.0.0.1:{port};
{server}
    }}
}}
"""


class Nginx(Edge):
    """One nginx with one server.

    Names of files in its configuration are relative to its folder: `proxy_cache_path cache …`.
    """

    def __init__(
        self, server: str, *, http: str = "", main: str = "", account: Account | None = None
    ) -> None:
        """Describe the server.

        Args:
            server: what stands in its `server` block, beside the `listen` that it gets.
            http: what stands in the `http` block before that, such as `proxy_cache_path`.
            main: what stands before everything, such as `load_module`.
            account: who runs it, if not we; for root alone.

        Raises:
            ConfigurationError: there is no nginx.
        """
        super().__init__(nginx(), account)
        self._server = server
        self._http = http
        self._main = main

    def _prepare(self, folder: Path) -> list[str | Path]:
        return [self.program, *self._words(folder)]

    def _examine(self, folder: Path) -> list[str | Path]:
        return [self.program, "-t", "-q", *self._words(folder)]

    def _words(self, folder: Path) -> list[str | Path]:
        # Without an account for its workers, root's nginx would look for the one of the package.
        root = self._account is None and os.geteuid() == 0
        text = _TEMPLATE.format(
            main=self._main,
            user="user root;" if root else "",
            http=self._http,
            server=self._server,
            port=self.port,
        )
        path = folder / "nginx.conf"
        path.write_text(text)
        return ["-p", folder, "-c", path, "-e", "stderr"]
