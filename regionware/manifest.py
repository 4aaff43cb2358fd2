"""The files that a build has named by their content, as its manifest lists them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from regionware.errors import ConfigurationError

#: Where the manifests of Vite and webpack list files of an entry.
_LISTS = ("css", "assets", "js")


def names_in(path: str | Path) -> frozenset[str]:
    """The names, with their folders, for `Cdn.static(hashed=...)`; read once, at start.

    It reads Django's `staticfiles.json` (`paths`), Vite's `manifest.json` (`file`, `css` and
    `assets`), and a plain object from names to built names, as of webpack or Rails. A name that
    the build has left as it was is not one of them.

    Raises:
        ConfigurationError: the file cannot be read, or is no such manifest.
    """
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path}: {error}") from error
    if not isinstance(found, dict):
        raise ConfigurationError(f"{path}: a manifest is a JSON object")
    names = frozenset(_names(found))
    if not names:
        raise ConfigurationError(f"{path}: names no file that a build has renamed")
    return names


def _names(manifest: dict[str, Any]) -> Iterator[str]:
    paths = manifest.get("paths")
    for name, built in (paths if isinstance(paths, dict) else manifest).items():
        if isinstance(built, dict):
            listed = [built.get("file")]
            for key in _LISTS:
                each = built.get(key)
                listed += each if isinstance(each, list) else []
        else:
            listed = [built]
        for one in listed:
            if isinstance(one, str) and "." in one and one.lstrip("/") != name.lstrip("/"):
                yield one.lstrip("/")
