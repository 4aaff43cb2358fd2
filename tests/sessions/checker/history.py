"""What the clients saw: one record for each request."""

from typing import NamedTuple

from regionware.database.position import Position
from regionware.database.token import Token

#: Routes whose answers are compared with what a session has seen, and raise that.
SEEING = frozenset({"row", "slow", "entry"})
CACHED = frozenset({"entry", "own", "public"})


class Op(NamedTuple):
    """One request and its answer. Times are of the clients' clock, in seconds.

    Attributes:
        session: the name of the session; empty for a stranger, who keeps nothing.
        number: counts a session's requests.
        sent: when the request was sent.
        received: when its answer had arrived.
        worker: who answered.
        region: where that is.
        route: the first segment of the path; see `ledger.ROUTES`.
        item: which counter.
        writes: it was counted up.
        purge: how the write purges: not at all, `inside` its transaction, or afterwards for this
            `region` or for `all`.
        status: of the answer; 0 where there was an exception.
        detail: of an error, what it says.
        version: the counter in the answer; `None` where there is none.
        other: a counter that the writer of this version had read before,
        seen: and what it was then.
        port: of the server that the answer was made from.
        replica: whether that was a standby.
        purged: the purge was acknowledged.
        hit: the answer was stored.
        token: what the session brought.
        reasons: why hosts were chosen, where that was asked and told.
        lower: the lower bound of a stored answer, likewise.
    """

    session: str
    number: int
    sent: float
    received: float
    worker: int
    region: str
    route: str
    item: int
    writes: bool = False
    purge: str = ""
    status: int = 200
    detail: str = ""
    version: int | None = None
    other: int = -1
    seen: int = 0
    port: int = 0
    replica: bool = False
    purged: bool = False
    hit: bool = False
    token: Token | None = None
    reasons: tuple[str, ...] = ()
    lower: Position | None = None
