"""The library's own dice, for jitter and the like: not for secrets.

The generator of the process belongs to the application, which may have seeded it to repeat itself;
a thread of ours that draws from that would disturb it. Like that one, ours is seeded anew in a
child process: workers that were forked from one parent must not all do the same.
"""

import os
from random import Random
from typing import Final

DICE: Final = Random()  # noqa: S311 - see above

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=DICE.seed)
