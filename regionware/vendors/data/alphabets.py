"""The characters that tags are made of, besides ASCII letters and digits."""

from typing import Final

#: What every field with commas or spaces between its tags can carry.
USUAL: Final = "!#$'()*+-./:;=?@^_`|~"

#: The same, where an asterisk in a purge stands for anything.
NO_WILDCARD: Final = USUAL.replace("*", "")

#: Akamai's own list, without what cannot be said in a field of ours.
AKAMAI: Final = "!#$'+./^_`|~-"
