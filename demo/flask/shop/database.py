"""The catalogue's SQLite file: built once, then read and written by the pages."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flask import Flask, current_app, g

from . import timing

SCRIPT = Path(__file__).resolve().parents[2] / "catalogue.sql"
DATA = SCRIPT.parent / ".data"

Parameters = Sequence[Any] | Mapping[str, Any]


def location(script: Path = SCRIPT, folder: Path = DATA) -> Path:
    """Where the database of this script lies: its name holds the script's digest."""
    digest = hashlib.sha256(script.read_bytes()).hexdigest()[:12]
    return folder / f"catalogue-{digest}.sqlite3"


def ensure(script: Path = SCRIPT, folder: Path = DATA) -> Path:
    """Return the database's path, after building it if this script's is missing.

    It is built under a name of its own and renamed when complete, so that neither
    an interrupted build nor a second process leaves half a database behind.
    """
    path = location(script, folder)
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f"building-{os.getpid()}.sqlite3"
    unfinished.unlink(missing_ok=True)
    try:
        connection = sqlite3.connect(unfinished)
        try:
            connection.executescript(script.read_text(encoding="utf-8"))
        finally:
            connection.close()
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
    for older in folder.glob("catalogue-*.sqlite3"):
        if older != path:
            older.unlink(missing_ok=True)
    return path


def init_app(app: Flask) -> None:
    """Close the connection with the context that opened it."""
    app.teardown_appcontext(_close)


def rows(sql: str, parameters: Parameters = ()) -> list[dict[str, Any]]:
    """Every row of a query, as dictionaries that are plain data to the cache."""
    timing.count_statement()
    return [dict(row) for row in _connection().execute(sql, parameters)]


def row(sql: str, parameters: Parameters = ()) -> dict[str, Any] | None:
    """The first row of a query, or None."""
    timing.count_statement()
    found = _connection().execute(sql, parameters).fetchone()
    return dict(found) if found else None


def write(*statements: tuple[str, Parameters]) -> None:
    """Run the statements in one transaction: all of them, or none."""
    connection = _connection()
    with connection:
        for sql, parameters in statements:
            timing.count_statement()
            connection.execute(sql, parameters)


def _connection() -> sqlite3.Connection:
    # Opened at the first statement: a page from the cache never gets here.
    if "connection" not in g:
        g.connection = sqlite3.connect(current_app.config["DATABASE"])
        g.connection.row_factory = sqlite3.Row
        g.connection.set_trace_callback(current_app.config["SQL_TRACE"])
    return g.connection


def _close(_error: BaseException | None) -> None:
    connection = g.pop("connection", None)
    if connection is not None:
        connection.close()
