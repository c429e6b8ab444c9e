"""What the cache has saved so far in this process."""

from __future__ import annotations

from flask import Blueprint, render_template

from .caching import cache

blueprint = Blueprint("stats", __name__)


@blueprint.get("/stats")
def show() -> str:
    """Every cached function with its hits, misses and the time it saved."""
    numbers = cache.stats()
    functions = [
        {
            **counted,
            "name": name,
            "load": counted["load_seconds"] / max(counted["misses"], 1),
            "hit": counted["hit_seconds"] / max(counted["hits"], 1),
        }
        for name, counted in numbers["functions"].items()
    ]
    functions.sort(key=lambda function: function["seconds_saved"], reverse=True)
    return render_template("stats.html", functions=functions, numbers=numbers)
