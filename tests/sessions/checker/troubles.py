"""What befalls the servers while clients are at it. Each trouble is one round, and may come again.

Sleeping is the length of a trouble: nothing is waited for.
"""

import random
import time
from collections.abc import Callable

from regionware.parts.postgres_server import PostgresServer
from tests.conformance.harness import until
from tests.sessions.checker.world import FAR, NEAR, World

DICE = random.Random(7)

Trouble = Callable[[World], None]


def say(server: PostgresServer, *settings: str) -> None:
    """Change settings, such as `wal_retrieve_retry_interval = '1s'`, at once."""
    for setting in settings:
        server.query(f"ALTER SYSTEM SET {setting}")
    server.query("SELECT pg_reload_conf()")


def calm(_: World) -> None:
    """Nothing."""
    time.sleep(0.5)


def late(milliseconds: int) -> Trouble:
    """Both standbys are late by so much."""

    def trouble(world: World) -> None:
        for each in world.cluster.replicas.values():
            say(each, f"recovery_min_apply_delay = {milliseconds}")
        time.sleep(0.5)

    return trouble


def uneven(world: World) -> None:
    """The standbys are late by 0 to 2 seconds, each by something else."""
    for each in world.cluster.replicas.values():
        say(each, f"recovery_min_apply_delay = {DICE.choice([0, 0, 100, 400, 1000, 2000])}")
    time.sleep(DICE.uniform(0.3, 1.0))


def paused(world: World) -> None:
    """One standby, or both, receive and do not replay."""
    standbys = list(world.cluster.replicas.values())
    chosen = DICE.sample(standbys, DICE.choice([1, 2]))
    for each in chosen:
        each.query("SELECT pg_wal_replay_pause()")
    time.sleep(DICE.uniform(0.3, 1.0))
    for each in chosen:
        each.query("SELECT pg_wal_replay_resume()")
    time.sleep(DICE.uniform(0.1, 0.3))


def killed(world: World) -> None:
    """A standby is killed, and starts again, perhaps behind what it has shown."""
    standby = DICE.choice(list(world.cluster.replicas.values()))
    standby.kill()
    time.sleep(DICE.uniform(0.1, 0.8))
    standby.start()
    time.sleep(DICE.uniform(0.5, 1.0))


def frozen(world: World) -> None:
    """A standby is stopped with all its processes, and goes on."""
    standby = DICE.choice(list(world.cluster.replicas.values()))
    standby.pause()
    time.sleep(DICE.uniform(0.5, 1.5))
    standby.resume()
    time.sleep(DICE.uniform(0.5, 1.0))


def conflicting(world: World) -> None:
    """Locks and vacuums of the primary cancel what standbys are asked meanwhile."""
    for each in world.cluster.replicas.values():
        say(each, "max_standby_streaming_delay = 10")
    for _ in range(10):
        world.cluster.primary.query("LOCK TABLE ledger IN ACCESS EXCLUSIVE MODE; SELECT 1")
        world.cluster.primary.query("VACUUM ledger")
        time.sleep(0.1)


def without_redis(world: World) -> None:
    """The Redis of one region is killed, or frozen, and comes back, empty if it was killed."""
    server = world.redis[DICE.choice([NEAR, FAR])]
    if DICE.random() < 0.5:
        server.kill()
    else:
        server.pause()
    time.sleep(DICE.uniform(0.3, 1.5))
    server.resume()
    server.start()
    time.sleep(DICE.uniform(0.5, 1.5))


def cut_off(standby: PostgresServer, primary: PostgresServer) -> None:
    """A standby receives nothing any more."""
    say(standby, "primary_conninfo = ''")
    stream = f"SELECT 1 FROM pg_stat_replication WHERE application_name = '{standby.name}'"
    until(lambda: primary.query(stream) == [])


def follow(standby: PostgresServer, primary: PostgresServer) -> None:
    """A standby receives from another server from now on."""
    source = f"host=127.0.0.1 port={primary.port} user=postgres application_name={standby.name}"
    say(standby, f"primary_conninfo = '{source}'", "primary_slot_name = ''")


def calm_again(world: World) -> None:
    """Undo what stays."""
    for each in world.cluster.replicas.values():
        each.resume()
        each.start()
        for name in ("recovery_min_apply_delay", "max_standby_streaming_delay"):
            each.query(f"ALTER SYSTEM RESET {name}")
        each.query("SELECT pg_reload_conf()")
        each.query("SELECT pg_wal_replay_resume()")
