"""What stores outside the process are measured beside, and the calls that are timed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import diskcache
import lmdb
from rounds import Contestant, Row
from sites import BODY, Site

HOUR = 3600
MANY = 10


class Bare:
    """py-lmdb as little as it can be: a transaction around each call, as ours has."""

    def __init__(self, folder: str) -> None:
        self._begin = lmdb.open(folder, map_size=256 << 20, sync=False, writemap=True).begin

    def get(self, key: str) -> str:
        """Text of bytes."""
        with self._begin() as transaction:
            return transaction.get(key.encode()).decode()

    def set(self, key: str, value: str) -> None:
        """Bytes of text."""
        with self._begin(write=True) as transaction:
            transaction.put(key.encode(), value.encode())


class Peer:
    """diskcache, each entry with a time to live as in the others."""

    def __init__(self, folder: str) -> None:
        self._held = diskcache.Cache(folder)
        self.get = self._held.get

    def set(self, key: str, value: str) -> None:
        """With a time to live."""
        self._held.set(key, value, HOUR)


def calls(name: str, cache: Any, statement: str, site: Site | None = None) -> Contestant:
    """`get` or `set` of a kilobyte, inside a request where there is an application."""
    context = site.inside("/text") if site else None
    names = {"get": cache.get, "put": cache.set, "body": BODY}
    expected = BODY if statement.startswith("get") else None
    one = Contestant(name, statement, names, context, expected)
    one.call(cache.set, "text", BODY)
    return one


def hits(sites: dict[str, Site], statement: str, kind: str, function: str) -> list[Contestant]:
    """A decorated view or function of each site, inside a request."""
    return [
        Contestant(name, statement, {"f": getattr(site, kind)[function]}, site.inside("/text"))
        for name, site in sites.items()
    ]


def deletions(sites: dict[str, Site]) -> list[Contestant]:
    """Ten keys that are there, removed by one call."""
    made = []
    for name, site in sites.items():
        names = {"drop": site.cache.delete_many}
        made.append(Contestant(name, "drop(*next(lots))", names, site.inside("/text")))
        made[-1].prepare = stocked(made[-1], site.cache.set_many)
    return made


def stocked(one: Contestant, put_many: Callable[[dict[str, str]], Any]) -> Callable[[int], None]:
    """Stores what so many calls will delete."""

    def stock(loops: int) -> None:
        lots = [[f"{one.name}-{number}-{part}" for part in range(MANY)] for number in range(loops)]
        for lot in lots:
            put_many(dict.fromkeys(lot, BODY))
        one.names["lots"] = iter(lots)

    return stock


def never_missed(sites: Iterable[Site]) -> None:
    """A view that ran while it was timed was not a hit."""
    for site in sites:
        often = {function: runs for function, runs in site.runs.items() if runs > 2}
        if often:
            raise AssertionError(f"not hits, but calls of the functions: {often}")


def wanted(rows: list[Row], arguments: list[str]) -> list[Row]:
    """Those that an argument names; all where none does."""
    texts = [text for text in arguments if not text.startswith("-")]
    return [row for row in rows if not texts or any(text in row.name for text in texts)]
