"""Fixtures of the tests of files under the compat dialect."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from flask_larder.compat import Cache
from flask_larder.compat.backends import twofold


@pytest.fixture(autouse=True)
def everything_is_news(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twofold, "_said", set())


@pytest.fixture
def folder(app: Flask, tmp_path: Path) -> Path:
    """A directory for entries, which is not there yet. No secret seals them."""
    app.secret_key = None
    return tmp_path / "entries"


@pytest.fixture
def make(app: Flask, folder: Path) -> Callable[..., Cache]:
    """Makes caches on one directory."""

    def made(**more: Any) -> Cache:
        config = {"CACHE_TYPE": "FileSystemCache", "CACHE_DIR": str(folder), **more}
        return Cache(app, config=config)

    return made
