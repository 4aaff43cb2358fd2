"""The triggers that purge what has changed in a table, as SQL. Nothing is executed here.

A trigger fires for each statement and gathers the distinct tags of all the rows that it has
changed, before and after: one purge, however many rows. The tables of rows that it is given do not
reach partitions, so on a partitioned table it fires for each row. TRUNCATE does not tell which
rows are gone, and purges everything.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha1
from string import Formatter
from typing import Final

from psycopg import sql

from regionware.database.purge_sql import TABLE
from regionware.errors import ConfigurationError

#: Distinct tags of one statement; of more, it purges everything.
_MANY: Final = 10_000
#: Tags in one row.
_SLICE: Final = 200
_LONGEST: Final = 63
TRIGGERS: Final = tuple(
    f"regionware_purge_{what}" for what in ("insert", "update", "delete", "truncate", "row")
)
#: What `pg_class.relkind` says of tables with triggers of their own, and of others.
ORDINARY, PARTITIONED = "r", "p"

Statements = list[sql.Composed | sql.SQL]


@dataclass(frozen=True, slots=True)
class Watched:
    """A table whose changes purge.

    Attributes:
        schema: where it is.
        name: its name.
        kind: `r` or `p`.
        columns: their names, exactly.
    """

    schema: str
    name: str
    kind: str
    columns: frozenset[str]

    @property
    def identifier(self) -> sql.Identifier:
        """The table."""
        return sql.Identifier(self.schema, self.name)


def _expressions(watched: Watched, tags: Sequence[str], row: str) -> Iterable[sql.Composable]:
    """Each tag as an expression over a row; a column that is null makes no tag.

    Raises:
        ConfigurationError: a tag is empty, or names what is no column.
    """
    for tag in tags:
        if not tag:
            raise ConfigurationError("install: a tag is empty")
        try:
            parts = list(Formatter().parse(tag))
        except ValueError as error:
            raise ConfigurationError(f"install: tag {tag!r}: {error}") from error
        pieces: list[sql.Composable] = []
        for text, column, spec, conversion in parts:
            pieces.append(sql.Literal(text))
            if column is None:
                continue
            if column not in watched.columns or spec or conversion:
                known = ", ".join(sorted(watched.columns))
                raise ConfigurationError(
                    f"install: tag {tag!r}: {column!r} is no column of {watched.name} ({known})"
                )
            pieces.append(sql.SQL(row + ".{}::text").format(sql.Identifier(column)))
        yield sql.SQL(" || ").join(pieces)


def _values(watched: Watched, tags: Sequence[str], row: str) -> sql.Composed:
    each = (sql.SQL("({})").format(one) for one in _expressions(watched, tags, row))
    return sql.SQL("VALUES {}").format(sql.SQL(", ").join(each))


def _collect(watched: Watched, tags: Sequence[str], rows: str) -> sql.Composed:
    """Gather the distinct tags of a transition table."""
    return sql.SQL(
        "SELECT array_agg(DISTINCT tag) INTO found FROM {} AS r,"
        " LATERAL ({}) AS v (tag) WHERE tag <> '';"
    ).format(sql.SQL(rows), _values(watched, tags, "r"))


def _body(purges: sql.Identifier, watched: Watched, tags: Sequence[str]) -> sql.Composed:
    both = "(SELECT * FROM regionware_old UNION ALL SELECT * FROM regionware_new)"
    if watched.kind == PARTITIONED:
        # Transition tables do not reach partitions.
        changed = {
            what: sql.SQL(
                "SELECT array_agg(DISTINCT tag) INTO found FROM ({}) AS v (tag) WHERE tag <> '';"
            ).format(sql.SQL(" UNION ALL ").join(_values(watched, tags, row) for row in rows))
            for what, rows in (("INSERT", ["NEW"]), ("UPDATE", ["OLD", "NEW"]), ("DELETE", ["OLD"]))
        }
    else:
        changed = {
            "INSERT": _collect(watched, tags, "regionware_new"),
            "UPDATE": _collect(watched, tags, both),
            "DELETE": _collect(watched, tags, "regionware_old"),
        }
    return sql.SQL(
        "DECLARE found text[];\n"
        "BEGIN\n"
        "  IF TG_OP = 'INSERT' THEN {insert}\n"
        "  ELSIF TG_OP = 'UPDATE' THEN {update}\n"
        "  ELSIF TG_OP = 'DELETE' THEN {delete}\n"
        "  END IF;\n"
        "  IF TG_OP = 'TRUNCATE' OR cardinality(found) > {many} THEN\n"
        "    INSERT INTO {purges} (everything) VALUES (true);\n"
        "  ELSIF found IS NOT NULL THEN\n"
        "    INSERT INTO {purges} (tags) SELECT found[i : i + {last}]"
        " FROM generate_series(1, cardinality(found), {slice}) AS i;\n"
        "  END IF;\n"
        "  RETURN NULL;\n"
        "END"
    ).format(
        insert=changed["INSERT"], update=changed["UPDATE"], delete=changed["DELETE"],
        many=sql.Literal(_MANY), purges=purges, last=sql.Literal(_SLICE - 1),
        slice=sql.Literal(_SLICE),
    )  # fmt: skip


def _function(place: str, watched: Watched) -> sql.Identifier:
    name = f"regionware_{watched.schema}.{watched.name}"
    if len(name.encode()) > _LONGEST:
        name = f"regionware_{sha1(name.encode(), usedforsecurity=False).hexdigest()}"
    return sql.Identifier(place, name)


def create(place: str, watched: Watched, tags: Sequence[str]) -> Statements:
    """The function and the triggers that call it.

    Args:
        place: the schema of the table of purges.
        watched: the table.
        tags: templates such as `product:{id}`, with the names of columns.

    Raises:
        ConfigurationError: a tag is empty, or names what is no column.
    """
    function = _function(place, watched)
    body = _body(sql.Identifier(place, TABLE), watched, tags)
    return [
        # As its owner: whoever writes to the table needs no right to purge. What it names is
        # found in no schema that others may create in.
        sql.SQL(
            "CREATE OR REPLACE FUNCTION {}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER"
            " SET search_path = pg_catalog, pg_temp AS {}"
        ).format(function, sql.Literal(body.as_string(None))),
        sql.SQL("REVOKE ALL ON FUNCTION {}() FROM PUBLIC").format(function),
        *(_fires(watched, function, what) for what in _moments(watched)),
    ]


def _moments(watched: Watched) -> list[str]:
    every = ["row"] if watched.kind == PARTITIONED else ["insert", "update", "delete"]
    return [*every, "truncate"]


def _fires(watched: Watched, function: sql.Identifier, what: str) -> sql.Composed:
    old, new = "OLD TABLE AS regionware_old", "NEW TABLE AS regionware_new"
    when = {
        "insert": f"INSERT ON {{}} REFERENCING {new} FOR EACH STATEMENT",
        "update": f"UPDATE ON {{}} REFERENCING {old} {new} FOR EACH STATEMENT",
        "delete": f"DELETE ON {{}} REFERENCING {old} FOR EACH STATEMENT",
        "truncate": "TRUNCATE ON {} FOR EACH STATEMENT",
        "row": "INSERT OR UPDATE OR DELETE ON {} FOR EACH ROW",
    }[what]
    return sql.SQL("CREATE TRIGGER {} AFTER {} EXECUTE FUNCTION {}()").format(
        sql.Identifier(f"regionware_purge_{what}"),
        sql.SQL(when).format(watched.identifier),
        function,
    )


def drop(place: str, watched: Watched) -> Statements:
    """Undo `create`, whatever kind the table was of."""
    triggers = [
        sql.SQL("DROP TRIGGER IF EXISTS {} ON {}").format(sql.Identifier(name), watched.identifier)
        for name in TRIGGERS
    ]
    function = _function(place, watched)
    return [*triggers, sql.SQL("DROP FUNCTION IF EXISTS {}()").format(function)]
