"""Accept-Encoding (RFC 9110, section 12.5.3)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regionware.http.codings import prefers

TAKES = [
    # what the client says, whether it takes zstd
    (None, False),
    ("", False),
    ("zstd", True),
    ("ZSTD", True),
    ("gzip, deflate, br, zstd", True),
    ("gzip,zstd;q=0.001", True),
    ("gzip, br", False),
    ("zstandard, xzstd", False),
    ("zstd;q=0", False),
    ("zstd;q=0.000", False),
    ("zstd ; q=0.5", True),
    ("zstd;Q=0.5", True),
    ("*", True),
    ("*;q=0", False),
    ("*;q=0, zstd", True),
    ("*, zstd;q=0", False),
    ("gzip, *;q=0.1", True),
    ("identity;q=0", False),
    ("identity;q=0, zstd", True),
    ("identity;q=0, *", True),
    ("identity", False),
    ("identity, zstd", True),
    ("identity, zstd;q=0.5", False),
    ("identity;q=0.5, zstd", True),
    ("identity;q=1.0, *;q=0.5", False),
    ("zstd, zstd;q=0", False),
    ("zstd;q=2", False),
    ("zstd;q=much", False),
    ("zstd;q=0.1234", False),
    ("zstd;level=3", False),
    ("zstd;q=1;x=y", False),
    (",, ,zstd,", True),
    ("gzip, " * 100 + "zstd", True),
]


@pytest.mark.parametrize(("field", "takes"), TAKES)
def test_who_takes_zstd(field: str | None, *, takes: bool) -> None:
    assert prefers("zstd", field) is takes


MEMBERS = st.sampled_from(
    ["zstd", "*", "identity", "gzip", ";q=", "=", "0", "1", ".5", "q", ";", ",", " ", "\t", "\0"]
)


@given(st.lists(MEMBERS, max_size=12).map("".join) | st.text(max_size=40))
@settings(deadline=None)
def test_no_text_makes_it_raise(field: str) -> None:
    assert prefers("zstd", field) in {True, False}
    if "zstd" not in field.lower() and "*" not in field:
        assert not prefers("zstd", field)
