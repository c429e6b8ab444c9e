"""An application of a fleet: pages and values that say which version of a file they were made of."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from flask import Flask, Response

from flask_larder import Cache

FOLDER = Path(os.environ["FOLDER"])
CONFIG = json.loads(os.environ["CONFIG"])

application = Flask("fleet")
application.secret_key = "a key for tests"
cache = Cache(application, config=CONFIG)
# The same entries without a near tier.
far = Cache(
    application,
    config={name: value for name, value in CONFIG.items() if not name.startswith("CACHE_NEAR")},
)


def written(name: str) -> str:
    """What stands in a file at this moment; a page is made in a moment or two."""
    text = (FOLDER / "pages" / name).read_text()
    time.sleep(0.002)
    return text


@application.get("/pages/<name>")
@cache.cached(600, as_page=True, vary=["Accept-Language"], wait=1)
def page(name: str) -> str:
    """A page that the service knows too."""
    return written(name)


@cache.memoize(600, tags=["file-{name}"], wait=1)
def value(name: str) -> str:
    """A value that other code uses."""
    return written(name)


@application.get("/values/<name>")
def values(name: str) -> str:
    """A page that is no page of the cache, and uses it."""
    return value(name)


@application.get("/far/<name>")
def found(name: str) -> str:
    """What lies in the store itself, or nothing."""
    there = far.get(f"view//pages/{name}")
    return "" if there is None else there.get_data(as_text=True)


@application.get("/plain")
def plain() -> str:
    """A page that has nothing to do with the cache."""
    return "plain"


@application.post("/forget/<name>")
def forget(name: str) -> tuple[str, int]:
    """Removes a page, and bumps the tag of the value; 503 where that could not be promised."""
    try:
        cache.delete(f"view//pages/{name}")
        cache.invalidate_tags(f"file-{name}")
    except OSError as error:
        return str(error), 503
    return "forgotten", 200


@application.get("/stats")
def stats() -> dict[str, object]:
    """What the cache says of itself."""
    return dict(cache.stats())


@application.after_request
def sign(response: Response) -> Response:
    """Says which worker answers."""
    response.headers["Worker"] = str(os.getpid())
    return response


if os.environ.get("WARM"):
    # What a server that preloads asks before it forks: connections, maps and threads are there then.
    application.test_client().get("/pages/warm")
    application.test_client().get("/values/warm")
