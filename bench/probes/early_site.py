"""The page of the stage of early hits, for a server: with the cache that BENCH_CACHE names, or bare."""

from __future__ import annotations

import os
from typing import Any

from sites import BODY, MAKERS, Site

PAGE = BODY.encode()


def bare(_environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """As little as an application can do."""
    length = ("Content-Length", str(len(PAGE)))
    start_response("200 OK", [("Content-Type", "text/html; charset=utf-8"), length])
    return [PAGE]


def made(name: str) -> Any:
    """The application of this name."""
    if name == "bare":
        return bare
    if name == "early":
        return Site(MAKERS["Larder"], CACHE_EARLY_HITS=True).app
    return Site(MAKERS.get(name)).app


app = made(os.environ["BENCH_CACHE"])
