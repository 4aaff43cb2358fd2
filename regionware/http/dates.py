"""HTTP dates (RFC 9110, section 5.6.7). Neither a locale nor a time zone matters; no I/O here."""

import re
from datetime import UTC, datetime, timedelta

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_LONG = f"(?:{'|'.join(_DAYS)})"
_SHORT = f"(?:{'|'.join(day[:3] for day in _DAYS)})"
_MONTH = f"(?P<month>{'|'.join(_MONTHS)})"
_TIME = r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
_FORMATS = tuple(
    re.compile(text, re.ASCII | re.IGNORECASE)
    for text in (
        rf"{_SHORT}, (?P<day>\d\d) {_MONTH} (?P<year>\d{{4}}) {_TIME} GMT",
        rf"{_LONG}, (?P<day>\d\d)-{_MONTH}-(?P<year>\d\d) {_TIME} GMT",
        rf"{_SHORT} {_MONTH} (?P<day>\d\d| \d) {_TIME} (?P<year>\d{{4}})",
    )
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)


def parse_date(text: str, now: float) -> int | None:
    """Read an HTTP-date in any of its three formats; never raises.

    Args:
        text: the value of one field line; letters of any case (RFC 9111, section 4.2).
        now: seconds since the epoch; what two digits of a year mean depends on it.

    Returns:
        Seconds since the epoch, negative before it; `None` if this is no HTTP-date.
    """
    stripped = text.strip(" \t")
    for form in _FORMATS:
        found = form.fullmatch(stripped)
        if found is not None:
            return _seconds(found, now)
    return None


def _seconds(found: re.Match[str], now: float) -> int | None:
    year, day, hour, minute, second = (
        int(found[part]) for part in ("year", "day", "hour", "minute", "second")
    )
    month = _MONTHS.index(found["month"].capitalize()) + 1
    if second == 60:
        second = 59  # a leap second, which neither Python nor POSIX can express
    if len(found["year"]) == 2:
        year = _full_year(year, (month, day, hour, minute, second), now)
    try:
        moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    return (moment - _EPOCH) // _SECOND


def _full_year(digits: int, rest: tuple[int, ...], now: float) -> int:
    """The latest year with these last two digits that is at most 50 years ahead."""
    today = _EPOCH + timedelta(seconds=now)
    horizon = (today.year + 50, *today.timetuple()[1:6])
    year = horizon[0] - (horizon[0] - digits) % 100
    return year if (year, *rest) <= horizon else year - 100


def format_date(seconds: float) -> str:
    """An IMF-fixdate.

    Args:
        seconds: since the epoch, of the years 1 to 9999; a fraction is cut off.
    """
    moment = _EPOCH + timedelta(seconds=seconds // 1)
    day, month = _DAYS[moment.weekday()][:3], _MONTHS[moment.month - 1]
    time = moment.time().isoformat("seconds")
    return f"{day}, {moment.day:02} {month} {moment.year:04} {time} GMT"
