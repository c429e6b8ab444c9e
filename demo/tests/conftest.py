"""The site over the real catalogue, with every SQL statement it runs written down."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "flask"))

from shop import create_app, database


class Site:
    """One application and what it asked of its database."""

    def __init__(self, path: Path) -> None:
        self.statements: list[str] = []
        self.app: Flask = create_app(
            {"DATABASE": path, "SQL_TRACE": self.statements.append, "TESTING": True}
        )

    def visitor(self, user_id: int = 0) -> FlaskClient:
        """A browser of its own, signed in if a user is given."""
        client = self.app.test_client()
        if user_id:
            with client.session_transaction() as session:
                session["user_id"] = user_id
        return client

    def statements_of(self, visit: Callable[[], object]) -> list[str]:
        """The SQL statements that a visit runs."""
        before = len(self.statements)
        visit()
        return self.statements[before:]


@pytest.fixture(scope="session")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database as the script makes it. Nobody writes to it."""
    return database.ensure(folder=tmp_path_factory.mktemp("catalogue"))


@pytest.fixture(scope="session")
def working_copy(catalogue: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy that the tests may change; each test changes products of its own."""
    folder = tmp_path_factory.mktemp("working")
    yield Path(shutil.copy(catalogue, folder))
    shutil.rmtree(folder)


@pytest.fixture
def site(working_copy: Path) -> Site:
    """A new application with an empty cache."""
    return Site(working_copy)
