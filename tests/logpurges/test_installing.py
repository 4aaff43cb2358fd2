"""`regionware install` and its opposite."""

from pathlib import Path
from typing import Any

import psycopg
import pytest

from regionware.cli import main
from regionware.errors import ConfigurationError
from regionware.installing import drop_trigger, install, uninstall
from tests.logpurges.conftest import Database


@pytest.fixture
def plain(bare: Database) -> Database:
    """Without goods in it: here nobody looks at caches."""
    bare.execute('CREATE TABLE "Odd ""Name" ("Id" int, "a b" text, big json)')
    return bare


def tags(database: Database) -> list[list[str] | None]:
    return [row[0] for row in database.rows()]


def everything(database: Database) -> list[bool]:
    return [row[2] for row in database.rows()]


def exists(database: Database, name: str = "regionware_purges") -> bool:
    return database.execute("SELECT to_regclass(%s) IS NOT NULL", name) == [(True,)]


def leftovers(database: Database) -> int:
    return int(
        database.execute(
            "SELECT (SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'regionware%%')"
            " + (SELECT count(*) FROM pg_proc WHERE proname LIKE 'regionware%%')"
            " + (SELECT count(*) FROM pg_class WHERE relname LIKE 'regionware%%') WHERE %s",
            True,
        )[0][0]
    )


def test_the_command_line(plain: Database, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["install", plain.url]) == 0
    assert main(["install", plain.url]) == 0
    assert capsys.readouterr().out == "installed\nnothing to do\n"
    trigger = ["--trigger", "goods", "--tag", "item:{id}", "--tag", "all"]
    for _ in range(2):
        assert main(["install", plain.url, *trigger]) == 0
    plain.execute("UPDATE goods SET value = 1 WHERE id IN (3, 4)")
    assert tags(plain) == [["all", "item:3", "item:4"]]
    assert main(["install", plain.url, "--drop-trigger", "goods"]) == 0
    plain.execute("UPDATE goods SET value = 2 WHERE id = 3")
    assert len(tags(plain)) == 1
    assert main(["install", plain.url, *trigger]) == 0
    assert main(["uninstall", plain.url]) == 0
    assert leftovers(plain) == 0
    assert main(["uninstall", plain.url]) == 0
    plain.execute("UPDATE goods SET value = 3 WHERE id = 3")


def test_what_is_printed_is_what_would_be_done(
    plain: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["install", plain.url, "--sql", "--trigger", "goods", "--tag", "item:{id}"]) == 0
    text = capsys.readouterr().out
    assert not exists(plain)
    plain.execute(text)
    assert exists(plain)
    plain.execute("DELETE FROM goods WHERE id = 3")
    assert tags(plain) == [["item:3"]]
    assert main(["uninstall", plain.url, "--sql"]) == 0
    plain.execute(capsys.readouterr().out)
    assert leftovers(plain) == 0


def test_the_database_of_an_application(
    plain: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shop_of_install.py").write_text(
        "from regionware import Region, Regionware, Topology\n"
        f"region = Region('iad', primary=True, database={plain.url!r})\n"
        "rw = Regionware(topology=Topology(here='iad', regions=[region]),"
        " secret='a secret of the tests')\n"
        "none = Regionware()\n"
    )
    monkeypatch.chdir(tmp_path)
    assert main(["install", "shop_of_install:rw"]) == 0
    assert exists(plain)
    assert main(["install", "shop_of_install:none"]) == 2


def test_names_are_quoted_exactly(plain: Database) -> None:
    install(plain.url, trigger='"Odd ""Name"', tags=["o'{Id}", '{{"{a b}"}}\\ %'])
    plain.execute("""INSERT INTO "Odd ""Name" VALUES (1, 'x y', '{}'), (2, NULL, '{}')""")
    # A column that is null makes no tag.
    assert tags(plain) == [["o'1", "o'2", '{"x y"}\\ %']]


def test_an_update_purges_what_was_and_what_is(plain: Database) -> None:
    install(plain.url, trigger="goods", tags=["item:{id}"])
    plain.execute("UPDATE goods SET id = 100 WHERE id = 3")
    plain.execute("UPDATE goods SET id = 101 WHERE false")
    assert tags(plain) == [["item:100", "item:3"]]


def test_truncate_purges_everything(plain: Database) -> None:
    install(plain.url, trigger="goods", tags=["item:{id}"])
    plain.execute("TRUNCATE goods")
    assert (tags(plain), everything(plain)) == ([None], [True])


def test_of_many_rows_a_few_purges_are_made(plain: Database) -> None:
    install(plain.url, trigger="goods", tags=["item:{id}"])
    plain.execute("INSERT INTO goods SELECT n, 0 FROM generate_series(1001, 1450) AS n")
    assert [len(each or []) for each in tags(plain)] == [200, 200, 50]
    plain.execute("INSERT INTO goods SELECT n, 0 FROM generate_series(5001, 15001) AS n")
    assert everything(plain) == [False] * 3 + [True]


def test_a_partitioned_table(plain: Database) -> None:
    plain.execute("CREATE TABLE log (day int, note text) PARTITION BY RANGE (day)")
    plain.execute("CREATE TABLE log_1 PARTITION OF log FOR VALUES FROM (0) TO (10)")
    install(plain.url, trigger="log", tags=["day:{day}"])
    plain.execute("CREATE TABLE log_2 PARTITION OF log FOR VALUES FROM (10) TO (20)")
    plain.execute("INSERT INTO log VALUES (1, 'a')")
    plain.execute("INSERT INTO log_2 VALUES (11, 'a')")
    plain.execute("UPDATE log SET day = 12 WHERE day = 1")
    found = {tag for each in tags(plain) for tag in each or ()}
    assert found == {"day:1", "day:11", "day:12"}
    with pytest.raises(ConfigurationError, match="is a partition"):
        install(plain.url, trigger="log_1", tags=["day:{day}"])
    uninstall(plain.url)
    assert leftovers(plain) == 0


def test_another_schema(plain: Database) -> None:
    plain.execute('CREATE SCHEMA "Other one"')
    install(plain.url, schema="Other one", trigger="goods", tags=["item:{id}"])
    plain.execute("UPDATE goods SET value = 1 WHERE id = 3")
    rows = plain.execute('SELECT tags FROM "Other one".regionware_purges')
    assert rows == [(["item:3"],)]
    uninstall(plain.url, schema="Other one")
    assert leftovers(plain) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trigger": "goods"}, "together"),
        ({"tags": ["a"]}, "together"),
        ({"trigger": "nowhere", "tags": ["a"]}, "there is no table nowhere"),
        ({"trigger": "seen", "tags": ["a"]}, "is not a table"),
        ({"trigger": "goods", "tags": ["item:{ID}"]}, "'ID' is no column of goods"),
        ({"trigger": "goods", "tags": ["item:{}"]}, "is no column"),
        ({"trigger": "goods", "tags": ["item:{id!r}"]}, "is no column"),
        ({"trigger": "goods", "tags": ["item:{id"]}, "item:{id"),
        ({"trigger": "goods", "tags": [""]}, "empty"),
        ({"schema": "nowhere"}, "no schema 'nowhere'"),
        ({"grant": ["nobody_like_that"]}, "does not exist"),
    ],
)
def test_what_is_refused(plain: Database, options: dict[str, Any], message: str) -> None:
    plain.execute("CREATE VIEW seen AS SELECT 1")
    with pytest.raises(ConfigurationError, match=message):
        install(plain.url, **options)
    # All or nothing.
    assert leftovers(plain) == 0


def test_a_table_of_that_name_which_is_another(plain: Database) -> None:
    plain.execute("CREATE TABLE regionware_purges (id int)")
    with pytest.raises(ConfigurationError, match="is another table"):
        install(plain.url)


@pytest.mark.parametrize("command", [["install"], ["install", "--sql"], ["uninstall"]])
def test_a_server_that_is_not_there(
    command: list[str], free_port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    name, *rest = command
    assert main([name, f"postgresql://127.0.0.1:{free_port}/x?password=hush", *rest]) == 2
    assert "hush" not in capsys.readouterr().err


@pytest.fixture
def owner(plain: Database) -> str:
    """The URL of a role that owns a table and may not create in the schema."""
    for sql in (
        "DROP ROLE IF EXISTS owner_of_goods",
        "CREATE ROLE owner_of_goods LOGIN",
        "ALTER TABLE goods OWNER TO owner_of_goods",
    ):
        plain.execute(sql)
    return plain.on(plain.cluster.url, user="owner_of_goods")


def test_a_role_without_the_right(plain: Database, owner: str) -> None:
    with pytest.raises(ConfigurationError, match=r"permission denied.*needs CREATE on the schema"):
        install(owner)
    drop_trigger(owner, "goods")
    plain.execute("GRANT CREATE ON SCHEMA public TO owner_of_goods")
    install(owner, trigger="goods", tags=["item:{id}"])
    plain.execute("UPDATE goods SET value = 1 WHERE id = 3")
    assert tags(plain) == [["item:3"]]
    plain.execute("REASSIGN OWNED BY owner_of_goods TO postgres")


def test_who_writes_needs_no_right_to_purge(plain: Database, owner: str) -> None:
    """And gets none by writing: the trigger acts for its owner, and cannot be called."""
    install(plain.url, trigger="goods", tags=["item:{id}"])
    with psycopg.connect(owner) as connection:
        connection.execute("UPDATE goods SET value = 1 WHERE id = 3")
    assert tags(plain) == [["item:3"]]
    with psycopg.connect(owner) as connection, pytest.raises(psycopg.Error, match="denied"):
        connection.execute("INSERT INTO regionware_purges (everything) VALUES (true)")
    with psycopg.connect(owner) as connection, pytest.raises(psycopg.Error, match="denied"):
        connection.execute(
            "CREATE TRIGGER more AFTER UPDATE ON goods"
            ' FOR EACH ROW EXECUTE FUNCTION "regionware_public.goods"()'
        )
    install(plain.url, grant=["owner_of_goods"])
    with psycopg.connect(owner) as connection:
        connection.execute("INSERT INTO regionware_purges (everything) VALUES (true)")
    plain.execute("ALTER TABLE goods OWNER TO postgres")
    plain.execute("DROP OWNED BY owner_of_goods")
