"""The script gives the same catalogue everywhere, and it is built once."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from shop import database

# The digest of all rows. It changes only with catalogue.sql, and tells whether
# another SQLite or another host language still builds the same catalogue.
EXPECTED = "b2c2c551105cd62d03d9e73f4dcd1668e621e196d3f859e54ea64d5785ba308a"

TABLES = ("supplier", "category", "product", "price", "user", "review", "purchase", "purchase_line")


def test_the_script_gives_the_same_rows_everywhere(catalogue: Path) -> None:
    digest = hashlib.sha256()
    with closing(sqlite3.connect(catalogue)) as connection:
        for table in TABLES:
            for row in connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2"):
                digest.update(repr(row).encode())
    assert digest.hexdigest() == EXPECTED


def test_the_catalogue_is_as_large_as_promised(catalogue: Path) -> None:
    with closing(sqlite3.connect(catalogue)) as connection:
        sizes = {
            table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in TABLES
        }
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    assert sizes["product"] == sizes["price"] == 50_000
    assert sizes["category"] == 40
    assert sizes["review"] == 400_000
    assert sizes["purchase"] == 200_000
    assert sizes["purchase_line"] > 400_000


def test_it_is_built_once_and_again_when_the_script_changes(tmp_path: Path) -> None:
    script = tmp_path / "small.sql"
    script.write_text("CREATE TABLE one (x); INSERT INTO one VALUES (1);")
    first = database.ensure(script, tmp_path / "data")
    with closing(sqlite3.connect(first)) as connection, connection:
        connection.execute("UPDATE one SET x = 2")
    assert database.ensure(script, tmp_path / "data") == first
    with closing(sqlite3.connect(first)) as connection:
        assert connection.execute("SELECT x FROM one").fetchall() == [(2,)]

    script.write_text("CREATE TABLE two (x);")
    second = database.ensure(script, tmp_path / "data")
    assert list((tmp_path / "data").iterdir()) == [second]


def test_a_script_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    script = tmp_path / "broken.sql"
    script.write_text("CREATE TABLE one (x); INSERT INTO none VALUES (1);")
    with pytest.raises(sqlite3.OperationalError, match="no such table: none"):
        database.ensure(script, tmp_path / "data")
    assert list((tmp_path / "data").iterdir()) == []
