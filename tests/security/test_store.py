"""S1 and S2: what stands in Redis is data, and is what its key says, or a miss."""

import os
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from regionware.caching.seal import Checksum
from tests.conformance.conftest import World
from tests.conformance.vault import Vault
from tests.security.stage import Stage, ask


@pytest.fixture
def tier() -> str:
    """Only Redis holds what somebody else may have written."""
    return "redis"


@pytest.fixture
def vault(redis_url: str) -> Iterator[Vault]:
    vault = Vault(redis_url)
    yield vault
    vault.close()


class Payload:
    """Makes a file as soon as it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> Any:
        return os.mkdir, (self.path,)


@pytest.mark.parametrize(
    "how", ["in place of the frame", "behind its magic", "in place of the key"]
)
def test_s1_a_pickle_is_not_executed(world: World, vault: Vault, tmp_path: Path, how: str) -> None:
    mark = tmp_path / "executed"
    payload = pickle.dumps(Payload(mark))
    stage = Stage(world)
    assert stage.is_cached(ask("/p/x"))
    if how == "in place of the key":
        key = vault.key
        vault.client.delete(key)
        vault.client.set(key, payload)
    else:
        vault.frame = payload if how == "in place of the frame" else vault.frame[:4] + payload
    stage.sites[1].rw.memory.clear()
    assert stage.wrong("/p/x") == []
    assert not mark.exists()
    assert stage.calls == 2, "it was a miss, and is filled again"
    stage.sites[1].rw.memory.clear()
    assert stage.victim("/p/x").hit


def test_s1_the_payload_is_a_real_one(tmp_path: Path) -> None:
    """The control: whoever unpickles it executes it."""
    mark = tmp_path / "executed"
    pickle.loads(pickle.dumps(Payload(mark)))
    assert mark.exists()


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "cut in half": lambda frame: frame[: len(frame) // 2],
    "the last octet is missing": lambda frame: frame[:-1],
    "a bit of the body": lambda frame: frame.replace(b"nobody", b"nobodx"),
    "a bit of the status": lambda frame: frame[:-20] + bytes((frame[-20] ^ 1,)) + frame[-19:],
    "nothing": lambda _: b"",
}


@pytest.mark.parametrize("how", DAMAGE)
def test_s2_a_damaged_record_is_a_miss_and_is_repaired(
    world: World, vault: Vault, how: str
) -> None:
    stage = Stage(world)
    assert stage.is_cached(ask("/p/x"))
    vault.frame = DAMAGE[how](vault.frame)
    stage.sites[1].rw.memory.clear()
    assert stage.wrong("/p/x") == []
    assert stage.calls == 2
    stage.sites[1].rw.memory.clear()
    assert stage.victim("/p/x").hit, "it was repaired"
    assert stage.calls == 2


def test_s2_without_the_protection(
    world: World, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Checksum, "holds", lambda *_: True)
    stage = Stage(world)
    stage.attack("/p/x")
    vault.frame = DAMAGE["a bit of the body"](vault.frame)
    stage.sites[1].rw.memory.clear()
    assert stage.wrong("/p/x") != []
