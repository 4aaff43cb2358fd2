"""A Redis Cluster on loopback for tests: masters that share the slots, perhaps with replicas."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from typing import Final, Self

from regionware.parts.part import Part, wait_until
from regionware.parts.process import ServerFailed, free_port
from regionware.parts.redis import RedisServer

_SLOTS: Final = 16_384
#: Seconds in which the nodes must have agreed.
PATIENCE: Final = 30.0


class RedisCluster(Part):
    """A cluster.

    Attributes:
        masters: the nodes that have the slots at first, in their order.
        replicas: those that have none.
    """

    def __init__(self, masters: int = 3, *, replicas: int = 0, node_timeout: float = 1.0) -> None:
        """Describe the cluster.

        Args:
            masters: how many nodes share the slots.
            replicas: how many further nodes each of them has.
            node_timeout: seconds after which a silent node counts as failed.
        """
        self._buses: dict[int, int] = {}
        self._timeout = round(node_timeout * 1000)
        self.masters = [self._node() for _ in range(masters)]
        self.replicas = [self._node() for _ in range(masters * replicas)]
        self._open = ExitStack()

    def _node(self) -> RedisServer:
        bus = free_port()
        options = ["--cluster-enabled", "yes", "--cluster-config-file", f"nodes-{bus}.conf"]
        options += ["--cluster-port", str(bus), "--cluster-node-timeout", str(self._timeout)]
        # The slots of a master that is gone are missing, the others go on.
        options += ["--cluster-require-full-coverage", "no", "--repl-diskless-sync-delay", "0"]
        # A replica takes over however long ago it last heard from its master.
        options += ["--cluster-replica-validity-factor", "0"]
        node = RedisServer(options=options)
        self._buses[node.port] = bus
        return node

    @property
    def nodes(self) -> list[RedisServer]:
        """Every node."""
        return self.masters + self.replicas

    @property
    def url(self) -> str:
        """The URL that names every node."""
        return f"redis+cluster://{','.join(f'127.0.0.1:{node.port}' for node in self.nodes)}"

    def start(self) -> Self:
        """Start every node, introduce them to each other, and wait until they agree.

        Raises:
            ServerFailed: they do not within `PATIENCE` seconds.
        """
        with ThreadPoolExecutor(len(self.nodes)) as pool:
            for node in pool.map(RedisServer.start, self.nodes):
                self._open.callback(node.close)
        share = -(-_SLOTS // len(self.masters))
        for number, node in enumerate(self.nodes):
            node.command(f"CLUSTER SET-CONFIG-EPOCH {number + 1}")
            if number < len(self.masters):
                last = min(share * (number + 1), _SLOTS) - 1
                node.command(f"CLUSTER ADDSLOTSRANGE {share * number} {last}")
        first = self.masters[0]
        for node in self.nodes[1:]:
            first.command(f"CLUSTER MEET 127.0.0.1 {node.port} {self._buses[node.port]}")
        self._until(lambda: all(self._knows_all(node) for node in self.nodes))
        for number, replica in enumerate(self.replicas):
            self.replicate(replica, self.masters[number % len(self.masters)])
        self._until(lambda: all(self._is_ready(node) for node in self.nodes))
        return self

    def replicate(self, replica: RedisServer, master: RedisServer) -> None:
        """Make one node the replica of another."""
        name = self.name(master)
        self._until(lambda: self._tries(replica, f"CLUSTER REPLICATE {name}"))

    def name(self, node: RedisServer) -> str:
        """The name of a node in the cluster."""
        return node.command("CLUSTER MYID")

    def move(self, slot: int, to: RedisServer) -> None:
        """Give an empty slot to another master; every master knows at once."""
        name = self.name(to)
        # Who imports a slot gets a later epoch with it, so that nobody's gossip takes it back.
        to.command(f"CLUSTER SETSLOT {slot} IMPORTING {self.name(self.owner(slot))}")
        to.command(f"CLUSTER SETSLOT {slot} NODE {name}")
        for node in self.masters:
            if node.running and node is not to:
                node.command(f"CLUSTER SETSLOT {slot} NODE {name}")

    def owner(self, slot: int) -> RedisServer:
        """The node that has a slot, as the nodes that run see it.

        Raises:
            ServerFailed: none has it.
        """
        for node in self.nodes:
            if node.running and _has(node.command("CLUSTER NODES"), slot):
                return node
        raise ServerFailed(f"no node has slot {slot}")

    def flush(self) -> None:
        """Empty every master."""
        for node in self.masters:
            node.command("FLUSHALL")

    def close(self) -> None:
        """End every node."""
        self._open.close()

    def _knows_all(self, node: RedisServer) -> bool:
        lines = node.command("CLUSTER NODES").splitlines()
        return len(lines) == len(self.nodes) and not any("handshake" in line for line in lines)

    def _is_ready(self, node: RedisServer) -> bool:
        info = node.command("CLUSTER INFO")
        ready = "cluster_state:ok" in info and f"cluster_slots_ok:{_SLOTS}" in info
        if node in self.replicas:
            ready = ready and "master_link_status:up" in node.command("INFO replication")
        return ready

    @staticmethod
    def _tries(node: RedisServer, words: str) -> bool:
        with suppress(ServerFailed):
            node.command(words)
            return True
        return False

    @staticmethod
    def _until(true: Callable[[], bool]) -> None:
        wait_until(true, patience=PATIENCE, why="the nodes of the cluster do not agree")


def _has(nodes: str, slot: int) -> bool:
    """Whether the node that says `nodes` has the slot."""
    own = next(line.split() for line in nodes.splitlines() if "myself" in line)
    for words in own[8:]:
        if not words.startswith("["):
            first, _, last = words.partition("-")
            if int(first) <= slot <= int(last or first):
                return True
    return False
