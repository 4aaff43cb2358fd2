"""The pages of `docs/cdn`, one for each vendor, made from the data.

`python -m regionware.vendors.config.pages docs/cdn` writes them.
"""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from regionware.edge import Edge
from regionware.policies.cdn import Cdn
from regionware.vendors.catalogue import VENDORS
from regionware.vendors.model import Vendor
from regionware.vendors.obeying import obeyed
from regionware.vendors.tags import forms

_TAGS: Final = ("product:7", "page")
_EXAMPLES: Final = (
    "Cdn(max_age=30)",
    "Cdn(max_age=10, shared_max_age=300)",
    "Cdn(max_age=10, shared_max_age=300, stale_while_revalidate=20, stale_if_error=30)",
    "Cdn(max_age=300, shared_max_age=10)",
    "Cdn.immutable()",
    "Cdn.private(max_age=30)",
)  # fmt: skip
_WORDS: Final = {
    "documentation": "documented",
    "source": "read in its source",
    "measured": "measured",
    "unverified": "**not verified**",
}


def name_of(vendor: Vendor) -> str:
    """The name of a vendor's page, without its ending."""
    return vendor.name or "any"


def page(vendor: Vendor) -> str:
    """A vendor's page."""
    word = f'`Cdn(vendor="{vendor.name}")`' if vendor.name else "A `Cdn` without a vendor"
    file = f"regionware/vendors/data/{vendor.name or 'anyone'}.py"
    lines = [
        f"# {vendor.title[0].upper()}{vendor.title[1:]}",
        "",
        f"{word}. Last compared with its sources in {_checked(vendor)}.",
        f"This page is made from `{file}`, which is to be changed, by:",
        "",
        "    python -m regionware.vendors.config.pages docs/cdn",
        "",
        "## What is sent, and what comes of it",
        "",
        "| policy | fields | kept there |",
        "|---|---|---|",
        *_examples(vendor),
        "",
        *_summary(vendor),
        "",
        "## What it obeys",
        "",
        "| about | | known how | source |",
        "|---|---|---|---|",
        *_statements(vendor),
    ]
    if vendor.name:
        lines += ["", "## What must be configured", ""]
        lines += [f"`regionware cdn-config {vendor.name} module:app` prints it for your routes."]
    return "\n".join(lines) + "\n"


def write(folder: Path) -> None:
    """Write all pages."""
    for vendor in VENDORS.values():
        (folder / f"{name_of(vendor)}.md").write_text(page(vendor), encoding="utf-8")


def _checked(vendor: Vendor) -> str:
    return max(statement.checked for statement in vendor.statements)


def _examples(vendor: Vendor) -> Iterator[str]:
    for text in _EXAMPLES:
        words = text.removesuffix(")") + (", vendor=..." if vendor.name else "") + ")"
        cdn = _made(text, vendor)
        fields = Edge(cdn).fields(200, None, _TAGS if cdn.is_public else ())
        told = "<br>".join(f"`{name}: {value}`" for name, value in fields)
        yield f"| `{words.replace('(, ', '(')}` | {told} | {_kept(obeyed(vendor, fields))} |"


def _made(text: str, vendor: Vendor) -> Cdn:
    """The policy that an example is the text of."""
    arguments = text.partition("(")[2].removesuffix(")")
    numbers = {
        name: int(value)
        for name, _, value in (each.partition("=") for each in arguments.split(", ") if each)
    }
    if text.startswith("Cdn.immutable"):
        return Cdn.immutable(vendor=vendor.name or None)
    if text.startswith("Cdn.private"):
        return Cdn(max_age=numbers["max_age"], visibility="private", vendor=vendor.name or None)
    return Cdn(
        max_age=numbers["max_age"],
        shared_max_age=numbers.get("shared_max_age"),
        stale_while_revalidate=numbers.get("stale_while_revalidate", 0),
        stale_if_error=numbers.get("stale_if_error", 0),
        vendor=vendor.name or None,
    )


def _kept(kept: dict[str, int] | None) -> str:
    if kept is None:
        return "nothing"
    windows = [f"{name} {seconds} s" for name, seconds in kept.items() if name != "fresh"]
    return ", ".join([f"{kept['fresh']} s", *windows])


def _summary(vendor: Vendor) -> Iterator[str]:
    reads = ", then ".join(f"`{name}`" for name in vendor.reads) or "none: it keeps no responses"
    yield f"- Lifetime: {reads}."
    yield f"- Stale windows taken from a response: {_listed(vendor.stale) or 'none'}."
    if vendor.tags is not None:
        tags = vendor.tags
        separator = "a comma" if tags.separator == "," else "a space"
        limits = [f"{tags.longest} octets of a tag", f"{tags.total:,} in all"]
        limits += [f"{tags.count} tags"] if tags.count else []
        case = ", case does not count" if tags.folds else ""
        forms_ = ", ".join(f"`{each}`" for each in forms(tags, ("product:7", "a b")))
        yield (
            f"- Tags: `{tags.name}`, separated by {separator}; {', '.join(limits)}{case}. What "
            f"does not fit is kept by nobody. `product:7` and `a b` are sent as {forms_}."
        )
    else:
        yield "- Tags: none."
    yield f"- Purge: {_listed(vendor.purges) or 'nothing'}."
    yield f'- `by="region"`: {_variance(vendor)}.'


def _variance(vendor: Vendor) -> str:
    if not vendor.caches:
        return "nothing is kept, so nothing can be mixed"
    if vendor.variance == "impossible":
        return "refused at start"
    if vendor.variance == "values":
        return "said in `Netlify-Vary`, by groups of countries"
    if vendor.variance == "vary":
        return f"said in `Vary: {vendor.variance_field}`, by country"
    key = "by country" if vendor.by_country else f"said in `Vary: {vendor.variance_field}`"
    return f"with `attested=True` and the edge configured for `{vendor.variance_field}`, {key}"


def _statements(vendor: Vendor) -> Iterator[str]:
    for each in vendor.statements:
        text = each.text.replace("|", "\\|")
        how = f"{_WORDS[each.evidence]}, {each.checked}"
        yield f"| {each.topic} | {text} | {how} | {each.source} |"


def _listed(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
