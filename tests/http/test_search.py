"""No-Vary-Search: equal meanings become equal, different ones never do."""

from collections import Counter
from urllib.parse import parse_qsl, quote_plus

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from regionware.http.search import SearchRules


def ignoring(*names: str, key_order: bool = False) -> SearchRules:
    return SearchRules(key_order, frozenset(names))


def keeping(*names: str, key_order: bool = False) -> SearchRules:
    return SearchRules(key_order, kept=frozenset(names))


@pytest.mark.parametrize(
    ("text", "expected"),
    [  # most are of the draft, sections 4.2.1 and 4.3.1
        ("params", keeping()),
        ('params=("a")', ignoring("a")),
        ('params, except=("x")', keeping("x")),
        ("params=?1", keeping()),
        ("key-order", ignoring(key_order=True)),
        ("key-order=?1", ignoring(key_order=True)),
        ('params, key-order, except=("x")', keeping("x", key_order=True)),
        ("params=?0", SearchRules()),
        ("params=()", SearchRules()),
        ("key-order=?0", SearchRules()),
        ("params, except=()", keeping()),
        ('params=("%C3%A9+%E6%B0%97")', ignoring("é 気")),
        ('params=("a%20b" "c+d" "e%2Bf" "g%")', ignoring("a b", "c d", "e+f", "g%")),
        ('params=("a";x=1);y, key-order;z', ignoring("a", key_order=True)),
        ("", SearchRules()),
    ],
)
def test_rules_are_read(text: str, expected: SearchRules) -> None:
    assert SearchRules.parse(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "unknown-key", 'key-order="not a boolean"', 'params="not a boolean or inner list"',
        "params=(not-a-string)", 'params=("a"), except=("x")', "params=(), except=()",
        'params=?0, except=("x")', "params, except=(not-a-string)",
        'params, except="not an inner list"', "params, except=?1", 'except=("x")', "except=()",
        "key-order=1", "key-order=()", "params=1", 'params=("a" 1)', "params, other=1", "params,",
        'params=("a"', "Params", "utm_*", 'params=("é")', 'params=("a", "b")', "params=('a')",
    ],
)  # fmt: skip
def test_what_is_not_valid_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        SearchRules.parse(text)


def test_names_count_or_do_not() -> None:
    with pytest.raises(ValueError, match="either"):
        SearchRules(ignored=frozenset("a"), kept=frozenset("b"))
    assert SearchRules.of_names(["a", "é"]) == keeping("a", "é")
    assert SearchRules.of_names([]) == keeping()


@pytest.mark.parametrize(
    ("rules", "query", "expected"),
    [
        (SearchRules(), "b=1&&a=%61&b", "b=1&&a=%61&b"),
        (ignoring("a"), "a=1&b=2&a=3&c", "b=2&c"),
        (ignoring("a"), "b=2&c", "b=2&c"),
        (ignoring("a"), "&&b=2&", "b=2"),
        (ignoring("a"), "%61=1&A=2&aa=3", "A=2&aa=3"),
        (ignoring("a"), "a;b=1&c;a=2", "a;b=1&c;a=2"),
        (ignoring("a b"), "a+b=1&a%20b=2&a%2Bb=3", "a%2Bb=3"),
        (ignoring("é"), "%C3%A9=1&\xc3\xa9=2&%E9=3", "%E9=3"),
        (ignoring("\ufffd"), "%ff=1&%fe=2&b", "b"),
        (ignoring(""), "=1&b&&=", "b"),
        (keeping("a"), "b=1&a=2&%61=3&c&a", "a=2&%61=3&a"),
        (keeping("a", "b"), "b=1&a=2", "b=1&a=2"),
        (keeping(), "a=1&b", ""),
        (keeping(""), "=1&b", "=1"),
        (ignoring(key_order=True), "b=1&a=2&b=0&a=1", "a=2&a=1&b=1&b=0"),
        (ignoring(key_order=True), "b=1&%61=2&a=1", "%61=2&a=1&b=1"),
        (ignoring("a", key_order=True), "c=1&a&b=a=b", "b=a=b&c=1"),
        (keeping("a", "c", key_order=True), "c=1&b&a=+%20", "a=+%20&c=1"),
        (ignoring("a"), "", ""),
    ],
)
def test_what_counts_is_kept(rules: SearchRules, query: str, expected: str) -> None:
    assert rules.normalise(query) == expected


@pytest.mark.parametrize(
    ("rules", "field"),
    [
        (SearchRules(), ""),
        (ignoring(key_order=True), "key-order"),
        (ignoring("b", "a"), 'params=("a" "b")'),
        (keeping(), "params"),
        (keeping("x", key_order=True), 'key-order, params, except=("x")'),
        (ignoring("é 気"), 'params=("%C3%A9+%E6%B0%97")'),
    ],
)
def test_rules_are_written(rules: SearchRules, field: str) -> None:
    assert rules.field() == field


# What holds for every input

NAME = st.text(st.sampled_from("ab+ %é&=\x00\ufeff"), max_size=3) | st.text(
    st.characters(exclude_categories=["Cs"]), max_size=5
)
NAMES = st.frozensets(NAME, max_size=4)
RULES = st.builds(SearchRules, st.booleans(), NAMES) | st.builds(
    lambda order, names: SearchRules(order, kept=names), st.booleans(), NAMES
)
PIECES = "a|b|c|%61|%C3%A9|\xc3\xa9|+|%20|%|%ff|\xff|;|=|&|&|&"
QUERY = st.lists(st.sampled_from(PIECES.split("|")), max_size=14).map("".join) | st.text(
    st.characters(max_codepoint=255), max_size=30
)


def meaning(rules: SearchRules, query: str) -> list[tuple[str, str]]:
    """The pairs that the draft, section 5, compares."""
    octets = query.encode("latin-1").decode("utf-8", "surrogateescape")
    pairs = parse_qsl(octets, keep_blank_values=True, errors="surrogateescape")
    decoded = [tuple(map(replaced, pair)) for pair in pairs]
    counted = [(n, v) for n, v in decoded if n not in rules.ignored]
    if rules.kept is not None:
        counted = [(n, v) for n, v in counted if n in rules.kept]
    return sorted(counted, key=lambda pair: pair[0]) if rules.key_order else counted


def replaced(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


@given(RULES)
def test_what_is_written_is_read_again(rules: SearchRules) -> None:
    assert SearchRules.parse(rules.field()) == rules


@given(RULES, QUERY)
@settings(max_examples=200)
def test_a_normal_query_means_the_same_and_is_normal(rules: SearchRules, query: str) -> None:
    normal = rules.normalise(query)
    assert rules.normalise(normal) == normal
    assert meaning(rules, normal) == meaning(rules, query)
    assert Counter(normal.split("&")) <= Counter([*query.split("&"), ""])


@given(RULES, QUERY, QUERY)
@settings(max_examples=200)
def test_different_meanings_stay_different(rules: SearchRules, one: str, other: str) -> None:
    assume(meaning(rules, one) != meaning(rules, other))
    assert rules.normalise(one) != rules.normalise(other)


@given(st.lists(st.sampled_from(["a=1", "b=2", "c=3", "b=2", ""]), max_size=8), st.data())
def test_equal_meanings_become_equal(parts: list[str], data: st.DataObject) -> None:
    other = data.draw(st.permutations(parts))
    for rules in (ignoring(key_order=True), keeping("b", key_order=True), keeping("b")):
        assert rules.normalise("&".join(parts)) == rules.normalise("&".join(other))


@given(NAME, NAMES)
def test_a_name_is_found_however_it_is_spelled(name: str, others: frozenset[str]) -> None:
    everything = "".join(f"%{octet:02x}" for octet in name.encode())
    octets = name.encode().decode("latin-1")
    for spelled in {quote_plus(name), everything, octets}:
        if spelled is octets and set("&=+%") & set(name):
            continue
        assert SearchRules.of_names([name, *others]).normalise(f"{spelled}=1") == f"{spelled}=1"
        assert ignoring(name, *others).normalise(f"{spelled}=1&") == ""


@given(st.sampled_from(["a", "%", "%61", "&", "=", "+", "b=1&a=2&", "\xff", ";"]), RULES)
@settings(max_examples=50, deadline=None)
def test_long_queries_are_read_in_time(piece: str, rules: SearchRules) -> None:
    normal = rules.normalise((piece * 65536)[:65536])
    assert rules.normalise(normal) == normal


WORDS = 'key-order|params|except|=|("a")|("a" "b")|?0|?1|, |,|1|;x'
DECLARED = st.lists(st.sampled_from(WORDS.split("|")), max_size=8).map("".join)


@given(st.text(max_size=30) | DECLARED)
@settings(max_examples=200)
def test_a_declaration_is_rules_or_refused(text: str) -> None:
    try:
        rules = SearchRules.parse(text)
    except ValueError:
        return
    assert SearchRules.parse(rules.field()) == rules
