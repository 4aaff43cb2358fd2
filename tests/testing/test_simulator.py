"""The simulator finds nothing, and finds every protection that is switched off."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from hashlib import sha1
from typing import Any

import pytest

from regionware.caching import following, log, scripts, storing
from regionware.caching.claim import Claim
from regionware.caching.coherence import Fences, Verdict
from regionware.caching.following import Follower, as_mapping
from regionware.caching.purging import Purged
from regionware.caching.relaying import OutboxRelay
from regionware.purger import Purger
from regionware.testing.simulator import Outcome, Scenario, simulate
from regionware.testing.simulator.__main__ import main
from regionware.testing.simulator.faults import (
    HARD,
    HELD,
    Fault,
    deafen,
    evict_log,
    fail_over,
    kill_worker,
    lose_clock,
    part_regions,
    partition,
    trim_log,
)
from regionware.testing.simulator.run import Simulation
from regionware.testing.simulator.worker import Worker

#: Seeds of every run of the tests, in parts that several processes can share.
SEEDS, PARTS = 200, 20
LONG_SEEDS, LONG_PARTS = 5000, 20

# Some seconds for each, and minutes where a machine is busy with everything else.
pytestmark = pytest.mark.timeout(900)


EVERYTHING = Scenario(faults=(*HELD, *HARD))
#: Shorter, so that hundreds take less than a minute: half of what a story costs is its beginning
#: and its end.
SHORT = replace(EVERYTHING, seconds=9.0, rate=3.0)


def part(number: int, parts: int, seeds: int) -> range:
    return range(number, seeds, parts)


def first_violation(seeds: Iterable[int], *faults: Fault) -> Outcome | None:
    """The first seed that breaks a promise."""
    scenario = replace(EVERYTHING, faults=faults or EVERYTHING.faults)
    outcomes = (simulate(seed, scenario) for seed in seeds)
    return next((found for found in outcomes if found.violations), None)


@pytest.mark.volume
@pytest.mark.parametrize("number", range(PARTS))
def test_promises_are_kept(number: int) -> None:
    reads = 0
    for seed in part(number, PARTS, SEEDS):
        outcome = simulate(seed, SHORT)
        assert not outcome.violations, str(outcome)
        reads += outcome.reads
    assert reads > 40 * SEEDS / PARTS


@pytest.mark.long
@pytest.mark.parametrize("number", range(LONG_PARTS))
def test_promises_are_kept_for_thousands_of_seeds(number: int) -> None:
    for seed in part(number, LONG_PARTS, LONG_SEEDS):
        outcome = simulate(SEEDS + seed, EVERYTHING)
        assert not outcome.violations, str(outcome)


# Without one of the protections: each is a positive control of the tests above


def without_fence(patch: pytest.MonkeyPatch) -> None:
    """An entry is never compared with the fences that this process knows."""
    patch.setattr(Fences, "judge", lambda *_: Verdict.GOOD)


def without_tombstones(patch: pytest.MonkeyPatch) -> None:
    """The region's stored fences are not read: a worker knows only those it has heard of."""
    real = Follower.snapshot

    def snapshot(self: Follower, reply: Any, sent: float) -> None:
        pairs = dict(zip(reply[2][::2], reply[2][1::2], strict=True))
        real(self, [*reply[:2], [b"#", pairs[b"#"]], *reply[3:]], sent)

    patch.setattr(Follower, "snapshot", snapshot)


def without_replay(patch: pytest.MonkeyPatch) -> None:
    """After an interruption the log is read on from its end, as pub/sub would."""
    real = Follower.snapshot

    def snapshot(self: Follower, reply: Any, sent: float) -> None:
        if not self.synced:
            real(self, reply, sent)
        self.cursor = reply[1]
        self._hear(sent)

    patch.setattr(Follower, "snapshot", snapshot)


def without_epochs(patch: pytest.MonkeyPatch) -> None:
    """Which server holds the fences is not asked: a replica that takes over is believed."""
    text = scripts.SNAPSHOT.text.replace("local ends = not epoch or", "local ends = not epoch --")
    text = text.replace("if not ends and ARGV[2] ~= ''", "if false")
    assert text.count("if false") == text.count("not epoch --") == 1
    patch.setattr(log, "SNAPSHOT", script(text))
    real = Follower._note

    def note(self: Follower, told: Any, *, behind: bool = False) -> None:
        self.epoch = told.get(b"#", b"").decode() or self.epoch
        real(self, told)

    patch.setattr(Follower, "_note", note)


def without_gaps(patch: pytest.MonkeyPatch) -> None:
    """Nobody asks whether the log has lost something."""
    real = Follower.follow

    def follow(self: Follower, events: Any, sent: float) -> bool:
        bare = [(at, {n: v for n, v in as_mapping(e).items() if n != b"<"}) for at, e in events]
        return real(self, bare, sent)

    patch.setattr(Follower, "follow", follow)
    patch.setattr(Follower, "registered", lambda *_: None)


def without_bound(patch: pytest.MonkeyPatch) -> None:
    """Memory is trusted for ever after the last word from the log."""
    patch.setattr(following, "BOUND", 1e9)


def script(text: str) -> scripts.Script:
    return scripts.Script(text, sha1(text.encode(), usedforsecurity=False).hexdigest())


def without_bound_for_its_own(patch: pytest.MonkeyPatch) -> None:
    """What a process has made itself is trusted for ever."""
    patch.setattr(storing, "BOUND", 1e9)


def without_own_fences(patch: pytest.MonkeyPatch) -> None:
    """Who purges hears of it through the log only."""
    real = Purger._relay

    def relay(self: Purger, order: Any, stamp: int) -> Purged:
        with pytest.MonkeyPatch.context() as inner:
            inner.setattr(Fences, "raise_to", lambda *_: None)
            inner.setattr(Fences, "raise_alone", lambda *_: None)
            return real(self, order, stamp)

    patch.setattr(Purger, "_relay", relay)


def without_relays(patch: pytest.MonkeyPatch) -> None:
    """What stands in the outbox is confirmed, and told nobody."""
    patch.setattr(OutboxRelay, "_deliver", lambda *_: None)


def counting_on(patch: pytest.MonkeyPatch) -> None:
    """Look-ups count on from each other, by whatever clock the latest one was made.

    And what is so made ahead of the server's clock is stored, as if any purge could reach it.
    """
    patch.setattr(Fences, "told", property(lambda self: self.stamp, lambda *_: None))
    patch.setattr(Claim, "_ahead", property(lambda _: False, lambda *_: None))


MUTANTS = [
    without_fence, without_tombstones, without_replay, without_bound, without_bound_for_its_own,
    without_own_fences, without_epochs, without_gaps, without_relays, counting_on,
]  # fmt: skip


#: Where a protection matters most, so that few seeds show it.
_SHOWN: dict[Any, tuple[Fault, ...]] = {
    without_bound: (deafen, partition),
    without_bound_for_its_own: (deafen, partition),
    without_relays: (part_regions,),
    counting_on: (lose_clock, fail_over),
    without_epochs: (fail_over, kill_worker),
    without_gaps: (trim_log, evict_log),
}


#: Where a search begins: at a seed that has shown it. Others follow, should that one not any more.
_FIRST: dict[Any, int] = {
    without_replay: 1, without_bound: 5, without_bound_for_its_own: 5, without_epochs: 2,
    without_gaps: 8, counting_on: 12,
}  # fmt: skip


@pytest.mark.parametrize("switch_off", MUTANTS, ids=lambda each: each.__name__)
def test_a_protection_that_is_switched_off_is_missed(
    switch_off: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    switch_off(monkeypatch)
    first = _FIRST.get(switch_off, 0)
    seeds = (*range(first, SEEDS), *range(first))
    found = first_violation(seeds, *_SHOWN.get(switch_off, ()))
    assert found is not None
    assert f"--seed {found.seed}" in str(found)
    assert "VIOLATION" in str(found)


def succession(run: Simulation) -> str:
    """A Redis comes back without its data, with its clock behind, while a worker fills.

    That worker does not hear of it. A new one does, purges, and asks when the fill has arrived and
    its clock has caught up: until then what was begun by the old one is not served anyway.
    """
    region, world, item = run.regions[0], run.world, run.items[0]
    olds = [worker for worker in run.workers if worker.region == region]
    if not olds or olds[0].name != f"{region}-1":
        return "once is enough"
    old = olds[0]
    new: list[Worker] = []
    run.link(old.name, region, background=True).cut_until = world.now + 14
    for worker in olds:
        run.retire(worker)
    old.loop.create_task(old.read(item))
    world.after(0.2, lambda: run.servers[region].lose(0.0, 3.0))
    world.after(0.3, lambda: new.append(run.start(region)))
    world.after(1.0, lambda: new[0].loop.create_task(new[0].purge(item, "tags")))
    world.after(3.6, lambda: new[0].loop.create_task(new[0].read(item)))
    return f"{old.name} is succeeded"


@pytest.mark.parametrize("checked", [True, False], ids=["checked", "unchecked"])
def test_a_fill_whose_lease_is_lost_is_not_stored(
    monkeypatch: pytest.MonkeyPatch, *, checked: bool
) -> None:
    """It is as old as its look-up, so by one clock every purge that it missed is later.

    Then whoever reads it refuses it. Where a clock goes back, the lease is what is left.
    """
    monkeypatch.setattr(Worker, "_effort", lambda _: 2.0)
    check = "if not lease or string.sub(lease, 58) ~= ARGV[1] then return 0 end"
    assert check in scripts.FILL.text
    if not checked:
        patched = scripts.FILL.text.replace(check, "lease = lease or string.rep(' ', 58)")
        monkeypatch.setattr("regionware.caching.redis.FILL", script(patched))
    scenario = Scenario(seconds=8, rate=0, purges=0, faults=(succession,))
    broken = [v for seed in range(4) for v in simulate(seed, scenario).violations]
    assert ("own" in {v.kind for v in broken}) if not checked else not broken


# The simulator itself


def test_a_seed_repeats_itself() -> None:
    one, other = simulate(5), simulate(5)
    assert one.trace == other.trace
    assert one == other
    assert simulate(6).trace != one.trace


def test_everything_that_may_go_wrong_does() -> None:
    """Each fault can be drawn, and says what it did; nobody fails for another reason."""
    for fault in (*HELD, *HARD):
        outcome = simulate(1, Scenario(seconds=4, faults=(fault,)))
        assert any("FAULT" in line for line in outcome.trace)
        assert not [v for v in outcome.violations if v.kind == "error"]


def test_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seed", "3", "--seconds", "4", "--trace"]) == 0
    told = capsys.readouterr().out
    assert "nothing goes wrong any more" in told
    assert "seed 3:" in told


def test_the_command_line_shows_what_broke(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    without_fence(monkeypatch)
    assert main(["--seeds", "3", "--first"]) == 1
    told = capsys.readouterr().out
    assert "VIOLATION" in told
    assert "python -m regionware.testing.simulator --seed 0 --trace" in told
