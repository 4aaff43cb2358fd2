"""A PostgreSQL primary with streaming replicas, made from nothing in a second or two.

Durability is switched off: these clusters are for tests and demonstrations, and lose data when
the machine does.
"""

import os
import shutil
import signal
import time
from pathlib import Path
from typing import Self

from regionware.errors import ConfigurationError
from regionware.parts import guard
from regionware.parts.binaries import bindir_for, reachable, unprivileged
from regionware.parts.part import Part
from regionware.parts.postgres_server import PATIENCE, PostgresServer
from regionware.parts.process import ServerFailed, remove_folder, temporary_folder

_SETTINGS = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 100
shared_buffers = 16MB
dynamic_shared_memory_type = mmap
fsync = off
full_page_writes = off
autovacuum = off
wal_level = replica
wal_keep_size = 128MB
min_wal_size = 32MB
max_wal_senders = 20
max_replication_slots = 20
hot_standby = on
hot_standby_feedback = off
wal_receiver_status_interval = 1s
wal_retrieve_retry_interval = 100ms
timezone = 'UTC'
log_timezone = 'UTC'
"""


class Cluster(Part):
    """A primary and its streaming replicas; closed, everything is ended.

    Attributes:
        directory: where the data lives. Run by root, it belongs to `nobody` afterwards.
        primary: the server that takes writes.
        replicas: the replicas by name, in the order they were made.
    """

    def __init__(self, directory: Path | None = None) -> None:
        """Choose the place: an empty or new folder that is kept, else a temporary one.

        Raises:
            ConfigurationError: PostgreSQL's programs are not found or out of reach, or the
                folder holds something else, or run by root, `nobody` cannot reach it.
        """
        self._account = unprivileged()
        self._temporary = directory is None
        self.directory = (directory or temporary_folder()).resolve()
        try:
            self._prepare()
            self._bindir = bindir_for(self._account, self.directory)
        except BaseException:
            self._remove()
            raise
        self.primary = self._server("primary")
        self.replicas: dict[str, PostgresServer] = {}

    @property
    def url(self) -> str:
        """The primary's connection string."""
        return self.primary.url

    def make(self) -> Self:
        """Make the primary if the folder is new; it is not started.

        Raises:
            ServerFailed: it was not made.
        """
        data = self.primary.directory
        if not data.exists():
            options = "-U postgres -A trust -E UTF8 --locale=C --no-sync --no-instructions"
            self.primary.run("initdb", "-D", data, *options.split())
            with (data / "postgresql.conf").open("a") as configuration:
                configuration.write(_SETTINGS)
        return self

    def start(self) -> Self:
        """Make the primary if the folder is new, and start it.

        Raises:
            ServerFailed: it did not start.
        """
        self.make().primary.start()
        return self

    def replica(self, name: str, upstream_port: int | None = None) -> PostgresServer:
        """Make and start a replica that streams from the primary.

        Args:
            name: lower-case letters, digits and underscores; names its replication slot too.
            upstream_port: where it reaches the primary, to put a proxy in between. The first
                copy of the data does not go this way.

        Raises:
            ServerFailed: the primary does not run, or the replica did not start.
        """
        server = self._server(name)
        conninfo = self._copy(server, self.primary)
        if upstream_port is not None:
            # The last setting of a name wins, here over the one that -R wrote.
            with (server.directory / "postgresql.auto.conf").open("a") as configuration:
                configuration.write(f"primary_conninfo = '{conninfo} port={upstream_port}'\n")
        self.replicas[name] = server
        server.start()
        return server

    def demote(self, server: PostgresServer, source: PostgresServer) -> None:
        """Make a server anew as a replica of another, where it stood before.

        Raises:
            ServerFailed: the source does not run, or the server did not start.
        """
        server.discard()
        shutil.rmtree(server.directory)
        self._copy(server, source)
        server.start()

    def _copy(self, server: PostgresServer, source: PostgresServer) -> str:
        """Copy the data of a server that runs; the connection string of the copy, but the port."""
        conninfo = f"host=127.0.0.1 user=postgres application_name={server.name}"
        options = f"-R -X stream --checkpoint=fast --no-sync --no-manifest -C -S {server.name}"
        url = f"{conninfo} port={source.port}"
        server.run("pg_basebackup", "-D", server.directory, "-d", url, *options.split())
        return conninfo

    def servers(self) -> list[PostgresServer]:
        """The primary and the replicas."""
        return [self.primary, *self.replicas.values()]

    def settle(self) -> None:
        """Wait until every replica streams and has replayed what the primary has written.

        A replica that is stopped or paused is left out; one that was promoted never streams.

        Raises:
            ServerFailed: one has not within `PATIENCE` seconds.
        """
        ((written,),) = self.primary.query("SELECT pg_current_wal_flush_lsn()")
        limit = time.monotonic() + PATIENCE
        for replica in self.replicas.values():
            while replica.running and not replica.paused and not self._settled(replica, written):
                if time.monotonic() > limit:
                    raise ServerFailed(f"PostgreSQL {replica.name} did not catch up")
                time.sleep(0.005)

    def _settled(self, replica: PostgresServer, written: str) -> bool:
        streams = "SELECT state FROM pg_stat_replication WHERE application_name = '{}'"
        if self.primary.query(streams.format(replica.name)) != [("streaming",)]:
            return False
        reached = f"SELECT pg_last_wal_replay_lsn() >= '{written}'"
        return replica.query(reached) == [(True,)]

    def close(self) -> None:
        """End every server, and remove the folder if it is a temporary one."""
        guard.send((pid for each in self.servers() for pid in each.pids()[:1]), signal.SIGQUIT)
        for server in self.servers():
            server.discard()
        self._remove()

    def _prepare(self) -> None:
        """Make the folder, for the account that PostgreSQL will run as."""
        self.directory.mkdir(parents=True, exist_ok=True)
        if not (self.directory / "primary").exists() and any(self.directory.iterdir()):
            raise ConfigurationError(f"{self.directory} is neither empty nor a cluster's")
        if self._account is not None:
            os.chown(self.directory, self._account.uid, self._account.gid)
            if not reachable(self.directory, self._account):
                raise ConfigurationError(
                    f"user number {self._account.uid} cannot enter {self.directory}"
                )

    def _server(self, name: str) -> PostgresServer:
        return PostgresServer(name, self._bindir, self.directory / name, self._account)

    def _remove(self) -> None:
        if self._temporary:
            remove_folder(self.directory)
