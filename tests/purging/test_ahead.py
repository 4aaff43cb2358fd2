"""A purge that this region's Redis has not heard of holds in its process, whatever Redis has."""

import pytest

from regionware import PurgeError
from regionware.caching.purging import Relay
from regionware.fencing import Fencing
from regionware.parts.redis import RedisServer
from tests.conformance.harness import until
from tests.purging.site import Item, again, purge, version, warm
from tests.rig import Rig


@pytest.mark.parametrize("guarded", [True, False], ids=["guarded", "control"])
def test_what_others_have_stored_meanwhile_is_not_taken(
    rig: Rig,
    redis_server: RedisServer,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
    guarded: bool,
) -> None:
    """It is later than all that the purger has read of the clock, and older than the purge."""
    item = Item()
    one, other = (item.site(rig, redis_url) for _ in range(2))
    warm(one, other)
    purge(rig, other.rw)
    assert version(other) == 1  # stored anew, and the purger has read nothing since
    if not guarded:
        monkeypatch.setattr(Fencing, "ahead", False)
    with monkeypatch.context() as queued:
        queued.setattr(Relay, "start", lambda _: None)
        redis_server.pause()
        item.version = 2
        with pytest.raises(PurgeError, match="confirm"):
            purge(rig, one.rw, timeout=0.1)
        redis_server.resume()
        until(lambda: version(one) == (2 if guarded else 1))
    relay = one.rw._parts.purger._here
    assert relay is not None
    relay.start()
    until(lambda: not len(relay))
    assert version(one) == version(other) == 2
    until(lambda: again(one) == "redis")
