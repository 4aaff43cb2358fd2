"""Which names carry a hash of their content."""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

from regionware.errors import ConfigurationError

#: A pattern, a function of the path, or names of files with their folders.
Test = str | Callable[[str], bool] | Collection[str]

# Django's 12 digits, webpack's 8 or 20, a SHA-256's 64; before the extensions. A run of decimals is
# rather a date, and one of letters a word: those that happen to be hashes are kept for less time.
_DEFAULT: Final = re.compile(
    r"(?<![0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4})"  # the end of a UUID
    r"[.-](?=[a-f]*[0-9])(?=[0-9]*[a-f])[0-9a-f]{8,64}(?:\.[A-Za-z0-9]{1,8}){1,3}\Z"
)


@dataclass(frozen=True, slots=True)
class Hashed:
    """Tells names with a hash from names without.

    Attributes:
        test: whether a path is of a file that never changes.
    """

    test: Callable[[str], object]

    def __call__(self, path: str) -> bool:
        """Whether the file under this path never changes; a test that fails says no."""
        try:
            return bool(self.test(path))
        except Exception:  # noqa: BLE001 - a file is kept for a minute then, and nothing breaks
            return False

    @classmethod
    def of(cls, test: Test | None) -> "Hashed":
        """From what `Cdn.static(hashed=...)` takes.

        Raises:
            ConfigurationError: it is nothing of that, or the pattern is none.
        """
        if test is None:
            return cls(_DEFAULT.search)
        if isinstance(test, str):
            try:
                return cls(re.compile(test).search)
            except re.error as error:
                raise ConfigurationError(f"Cdn.static: hashed: {error}") from error
        if callable(test):
            return cls(test)
        if not isinstance(test, (list, tuple, set, frozenset)) or not all(
            isinstance(name, str) and name for name in test
        ):
            raise ConfigurationError(
                "Cdn.static: hashed is a pattern, a function of the path, or a list of names"
            )
        return cls(_Listed(test))


class _Listed:
    """Names of files with their folders; a path may have more folders before them."""

    def __init__(self, names: Collection[str]) -> None:
        self._names = frozenset(name.lstrip("/") for name in names)
        self._parts = {name.count("/") + 1 for name in self._names}

    def __call__(self, path: str) -> bool:
        parts = path.split("/")
        return any("/".join(parts[-count:]) in self._names for count in self._parts)
