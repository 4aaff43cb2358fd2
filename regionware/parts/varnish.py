"""Varnish, with whatever VCL it is given."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from regionware.parts.binaries import Account, varnishd
from regionware.parts.edge import Edge

#: Enough for tests, and quick to start: one pool of threads, and a small log that nobody reads.
_PARAMETERS = {"thread_pools": "1", "thread_pool_min": "5", "vsl_space": "1M"}


class Varnish(Edge):
    """One Varnish that keeps its objects in memory.

    It runs in the account that it is started in: as root without Varnish's own jail, so that the
    users of Debian's package need not exist.
    """

    def __init__(
        self,
        vcl: str,
        *,
        memory: str = "32m",
        parameters: Mapping[str, str] | None = None,
        options: Sequence[str] = (),
        account: Account | None = None,
    ) -> None:
        """Describe the server.

        Args:
            vcl: its whole VCL, backends included.
            memory: how much it may keep, as varnishd spells it.
            parameters: of varnishd, as `varnishd -p` takes them.
            options: further words for its command line.
            account: who runs it, if not we; for root alone.

        Raises:
            ConfigurationError: there is no varnishd.
        """
        super().__init__(varnishd(), account)
        self._vcl = vcl
        self._memory = memory
        self._parameters = {**_PARAMETERS, **(parameters or {})}
        self._further = list(options)

    def _prepare(self, folder: Path) -> list[str | Path]:
        argv: list[str | Path] = [
            self.program,
            "-F",
            "-j",
            "none",
            "-T",
            "none",
            "-n",
            folder / "work",
        ]
        argv += ["-a", f"127.0.0.1:{self.port}", "-s", f"malloc,{self._memory}"]
        for name, value in self._parameters.items():
            argv += ["-p", f"{name}={value}"]
        return [*argv, "-f", self._write(folder), *self._further]

    def _examine(self, folder: Path) -> list[str | Path]:
        return [self.program, "-C", "-j", "none", "-n", folder / "work", "-f", self._write(folder)]

    def _write(self, folder: Path) -> Path:
        path = folder / "edge.vcl"
        path.write_text(self._vcl)
        return path
