"""A state outside of a request: what `rw.bind()` and `rw.import_token()` return."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import Token as Undo
from dataclasses import dataclass, replace
from types import TracebackType
from typing import TYPE_CHECKING, Final, Literal

from regionware.context import Current, Opening, bind, current, unbind
from regionware.database.position import merge
from regionware.database.token import Token
from regionware.errors import Unavailable
from regionware.locate.claim import Located
from regionware.locate.client import Client
from regionware.policies.database import Access, Database, at_least
from regionware.seeing import seen_by
from regionware.session import Sessions
from regionware.topology import Region

if TYPE_CHECKING:
    from regionware.database.connection import Databases

ImportMode = Literal["sticky", "delayed", "always"]

#: Seconds, 2 in all, that a process which has just started waits to hear from the primary whose
#: history it is: before that, a token of another database could not be told from one of ours.
_PAUSE: Final = 0.01
_PAUSES: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What holds inside of a `with` block.

    Attributes:
        policy: where its reads go.
        access: what `rw.connection()` without words is.
        method: the method, as `current().method` tells it.
        brings: there should be a token. One that is absent or refused makes all reads strong.
        token: its text.
        admits: whoever enters is turned away unless a replica has what the token says.
    """

    policy: Database
    access: Access
    method: str
    brings: bool = False
    token: str | None = None
    admits: bool = False


class Binding:
    """Binds a state for a `with` or an `async with` block, which is given that state.

    It can be entered again after it was left, and begins anew then. Inside of a request, or of
    another binding, nothing gets weaker: the stronger policy of the two holds, what is owed outside
    is owed inside, and every tag, read and write inside is one of the outer state too.
    """

    def __init__(
        self, terms: Terms, here: Region, sessions: Sessions, databases: "Databases | None"
    ) -> None:
        """Nothing is done before it is entered."""
        self._terms = terms
        self._here = here
        self._sessions = sessions
        self._databases = databases
        self._bound: tuple[Current, Undo[Opening | None]] | None = None

    def __enter__(self) -> Current:
        """Check the token, and bind.

        Raises:
            ConsistencyUnavailable: no replica has what the token says, and the mode is `delayed`.
        """
        for _ in range(_PAUSES):
            if not self._must_hear():
                break
            time.sleep(_PAUSE)
        token = self._token()
        if token is not None and self._terms.admits and self._databases is not None:
            with _told(), self._databases.connection(self._applicant(token), access="read"):
                pass
        return self._bind(token)

    async def __aenter__(self) -> Current:
        """The async twin of `__enter__`."""
        for _ in range(_PAUSES):
            if not self._must_hear():
                break
            await asyncio.sleep(_PAUSE)
        token = self._token()
        if token is not None and self._terms.admits and self._databases is not None:
            with _told():
                async with self._databases.connection(self._applicant(token), access="read"):
                    pass
        return self._bind(token)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Bind again what was bound before."""
        bound, self._bound = self._bound, None
        if bound is None:
            raise RuntimeError("bind(): not entered")
        state, undo = bound
        try:
            unbind(undo)
        except ValueError:
            # Left in another context than it was entered in, as fixtures of tests do.
            if current() is state:
                bind(state.outer)
        if state.outer is None:
            state.sent = True
        elif state.unavailable is not None:
            state.outer.unavailable = state.unavailable

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """The async twin of `__exit__`."""
        self.__exit__(kind, error, trace)

    def _must_hear(self) -> bool:
        """Whether there is a token to check, and it is not known yet whose history is ours."""
        if self._bound is not None:
            raise RuntimeError("bind(): it is entered already; make another one")
        if self._databases is None or not self._terms.token:
            return False
        self._databases.start()
        return self._databases.cluster is None

    def _token(self) -> Token | None:
        if not self._terms.brings:
            return None
        token = self._sessions.accept(self._terms.token)
        unheard = self._databases is None or self._databases.cluster is None
        if token is not None and token.cluster and unheard:
            self._sessions.refuse("unverified")
            return None
        return token

    def _applicant(self, token: Token) -> Current:
        """Who reads only from a replica that has what the token says."""
        return self._state(replace(self._terms.policy, unmet="fail"), token, None)

    def _bind(self, token: Token | None) -> Current:
        outer, policy = current(), self._terms.policy
        if self._terms.brings and token is None:
            policy = replace(policy, consistency="strong", max_lag=None)
        if outer is not None:
            policy = stronger(policy, outer.database)
        state = self._state(policy, token, outer)
        self._bound = state, bind(state)
        return state

    def _state(self, policy: Database, token: Token | None, outer: Current | None) -> Current:
        owed = Token() if token is None or not _compares(policy) else token
        seen, around = seen_by(owed), outer is not None and outer.lost
        sees = at_least(policy.consistency, "session")
        need = merge(owed.write, owed.seen) if sees else owed.write
        # Strong reads are never older; they are noted for a session that goes on.
        noted = sees and (policy.consistency == "session" or token is not None)
        state = Current(
            region=self._here if outer is None else _located_of(outer),
            client=None if outer is None else _client_of(outer),
            here=self._here,
            method=self._terms.method,
            route="",
            access=self._terms.access,
            database=policy,
            need=need if outer is None else merge(need, outer.need),
            observing=outer is not None and outer.observing,
            token=token,
            outer=outer,
            watching=noted or (outer is not None and outer.watching),
            fills=outer is not None and outer.fills,
            seen=seen if outer is None else seen.joined(outer.seen),
            # What is lost outside is not found again by a read in here.
            lost=owed.lost and not around,
        )
        state.lost = owed.lost or around
        state.orphaned = owed.orphaned or (outer is not None and outer.orphaned)
        return state


@contextmanager
def _told() -> Iterator[None]:
    """Tell a request that what it asked for cannot be had, as a handle inside would."""
    try:
        yield
    except Unavailable as error:
        if (around := current()) is not None:
            around.unavailable = error
        raise


def stronger(inner: Database, outer: Database) -> Database:
    """The policy of a binding inside of another: the stronger word, and the smaller lag."""
    if not at_least(inner.consistency, outer.consistency):
        return outer
    if inner.consistency != outer.consistency or outer.max_lag is None:
        return inner
    return replace(inner, max_lag=min(outer.max_lag, inner.max_lag or outer.max_lag))


def _compares(policy: Database) -> bool:
    """Whether reads are compared with what the session has written."""
    return at_least(policy.consistency, "own-writes")


def _located_of(outer: Current) -> Callable[[], Located]:
    return lambda: outer.located


def _client_of(outer: Current) -> Callable[[], Client]:
    return lambda: outer.client
