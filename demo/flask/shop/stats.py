"""What the cache has saved so far in this process."""

from __future__ import annotations

from flask import Blueprint, render_template

from .caching import cache

blueprint = Blueprint("stats", __name__)


@blueprint.get("/stats")
def show() -> str:
    """Every cached function with its hits, misses and the time it saved."""
    numbers = dict(cache.stats())
    functions = sorted(
        numbers.pop("functions").items(), key=lambda item: item[1]["seconds_saved"], reverse=True
    )
    return render_template("stats.html", functions=functions, totals=numbers)
