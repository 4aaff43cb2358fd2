"""Where a cloud says that this process runs, asked of its metadata server; only when you say so.

Most platforms tell it in the environment (`regionware.topology.PLATFORM_VARIABLES`). Machines and
containers of AWS, Google and Azure have to ask a server on a link-local address. That is done
once, at start, all clouds at the same time, and for no longer than `timeout`; never for a request.

```python notest
Topology(here=Metadata(), regions=[Region("fra", aliases=["eu-central-1"]), …])
```
"""

import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from http.client import HTTPConnection, HTTPException
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic
from typing import Final
from urllib.parse import urlsplit

from regionware.kinds import list_of, number, one_of
from regionware.region import is_name

#: The address of the metadata servers of AWS, Google and Azure, all of which answer nobody but the
#: machine itself. As documented in 2026-11.
ADDRESS: Final = "169.254.169.254"
_LONGEST: Final = 65_536
_ZONE: Final = re.compile(r"([a-z]{2,}(?:-[a-z]+)+-?[0-9]+)(?:-?[a-z]|-[a-z]+-[0-9]+[a-z])?")

Headers = Mapping[str, str]
Ask = Callable[[str, str, Headers], str]


def _ec2(ask: Ask) -> str:
    """IMDSv2: a token first (docs.aws.amazon.com, EC2, instance metadata)."""
    token = ask("PUT", "/latest/api/token", {"X-aws-ec2-metadata-token-ttl-seconds": "60"})
    headers = {"X-aws-ec2-metadata-token": token}
    return ask("GET", "/latest/meta-data/placement/region", headers)


def _google(ask: Ask) -> str:
    """`projects/N/regions/us-central1` on Cloud Run, `projects/N/zones/us-central1-a` elsewhere."""
    headers = {"Metadata-Flavor": "Google"}
    try:
        found = ask("GET", "/computeMetadata/v1/instance/region", headers)
    except (OSError, HTTPException):
        found = ask("GET", "/computeMetadata/v1/instance/zone", headers)
    return found.rpartition("/")[2]


def _azure(ask: Ask) -> str:
    """`westeurope` (learn.microsoft.com, Instance Metadata Service)."""
    query = "api-version=2021-02-01&format=text"
    return ask("GET", f"/metadata/instance/compute/location?{query}", {"Metadata": "true"})


def _ecs(ask: Ask) -> str:
    """The task's `AvailabilityZone` (docs.aws.amazon.com, ECS, task metadata version 4)."""
    found = json.loads(ask("GET", "/task", {}))
    return str(found["AvailabilityZone"]) if isinstance(found, dict) else ""


_CLOUDS: Final[dict[str, Callable[[Ask], str]]] = {
    "azure": _azure, "ec2": _ec2, "ecs": _ecs, "google": _google,
}  # fmt: skip

#: In which variable ECS gives the URL of its server.
ECS_VARIABLE: Final = "ECS_CONTAINER_METADATA_URI_V4"

_CLOUD: Final = list_of(one_of(*_CLOUDS), "clouds", least=1)
_SECONDS: Final = number("seconds", 0, 5, above=True)


class Metadata:
    """Asks the metadata servers; for `Topology(here=Metadata())`."""

    def __init__(
        self,
        *clouds: str,
        timeout: float = 0.3,
        address: str = ADDRESS,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """Ask nobody yet.

        Args:
            clouds: whom to ask: `"azure"`, `"ec2"`, `"ecs"`, `"google"`; all of them by default.
            timeout: seconds for all of it, above 0, at most 5.
            address: a host, perhaps with a port, for tests.
            environ: the environment, by default that of the process.

        Raises:
            ConfigurationError: naming the argument.
        """
        clouds = clouds or tuple(_CLOUDS)
        _CLOUD.check("Metadata: clouds", clouds)
        _SECONDS.check("Metadata: timeout", timeout)
        self._clouds: Sequence[str] = clouds
        self._timeout = timeout
        self._address = address
        self._environ = os.environ if environ is None else environ

    def __call__(self) -> str | None:
        """The cloud's name of this region, such as `eu-central-1`; `None` if nobody tells."""
        told: SimpleQueue[str | None] = SimpleQueue()
        asked = [
            cloud for cloud in self._clouds if cloud != "ecs" or self._environ.get(ECS_VARIABLE)
        ]
        for cloud in asked:
            # A server that hangs keeps a daemon thread, not the process.
            Thread(target=self._ask, args=(cloud, told), daemon=True).start()
        until = monotonic() + self._timeout
        for _ in asked:
            try:
                found = told.get(timeout=max(0.001, until - monotonic()))
            except Empty:
                return None
            if found is not None:
                return found
        return None

    def _ask(self, cloud: str, told: "SimpleQueue[str | None]") -> None:
        try:
            told.put(region_of(_CLOUDS[cloud](self._asking(cloud))))
        except (OSError, HTTPException, ValueError, KeyError, RecursionError):
            told.put(None)

    def _asking(self, cloud: str) -> Ask:
        host, prefix = self._address, ""
        if cloud == "ecs":
            parts = urlsplit(self._environ[ECS_VARIABLE])
            host, prefix = parts.netloc, parts.path

        def ask(method: str, path: str, headers: Headers) -> str:
            # Without proxies and redirections: nobody else can answer this.
            connection = HTTPConnection(host, timeout=self._timeout)
            try:
                connection.request(method, prefix + path, headers=dict(headers))
                answer = connection.getresponse()
                body = answer.read(_LONGEST)
                if answer.status != 200:
                    raise OSError(f"status {answer.status}")
                return body.decode("utf-8", "replace").strip()
            finally:
                connection.close()

        return ask

    def __repr__(self) -> str:
        """As it is written in a configuration."""
        return f"Metadata({', '.join(map(repr, self._clouds))})"


def region_of(text: str) -> str | None:
    """The region of a region's or a zone's name: of `us-east-1a` it is `us-east-1`."""
    name = text.strip().lower()
    found = _ZONE.fullmatch(name)
    name = found[1] if found else name
    return name if is_name(name) else None


def here(*clouds: str, timeout: float = 0.3) -> str | None:
    """Ask now; see `Metadata`."""
    return Metadata(*clouds, timeout=timeout)()
