"""`flask cache`: looks at the caches of an application, and removes from them. No value is printed.

    flask cache stats
    flask cache list --prefix view/
    flask cache explain "/products?page=2" -H "Accept-Language: de"
    flask cache delete view//products "product_*"
    flask cache clear --yes

The command runs in a process of its own. A store outside the process (SharedCache, RedisCache) it sees
as the workers do; of `SimpleCache` each worker has one, and the command says that it cannot see those.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, ParamSpec

import click
from flask import current_app
from flask.cli import AppGroup

from .backends import is_pattern

if TYPE_CHECKING:
    from .cache import Cache

__all__ = ["group"]

P = ParamSpec("P")

_MEMOIZED = "memoize/"

group = AppGroup("cache", help="Look at the caches of the application, and remove from them.")


def _command(function: Callable[..., None]) -> click.Command:
    """A command of the group on one cache of the application; errors of its store are told plainly."""

    @group.command(function.__name__.strip("_"), help=function.__doc__)
    @click.option("--cache", "number", type=int, help="Which cache, counted from 1.")
    @functools.wraps(function)
    def command(number: int | None, **options: Any) -> None:
        cache = _chosen(number)
        try:
            function(cache, **options)
        except NotImplementedError as error:
            raise click.ClickException(str(error)) from None
        except OSError as error:
            raise click.ClickException(f"the store failed: {error}") from None

    return command


def _chosen(number: int | None) -> Cache:
    caches: dict[Cache, Any] = current_app.extensions.get("cache", {})
    listed = [f"{place}: {_described(cache)}" for place, cache in enumerate(caches, 1)]
    if not caches:
        raise click.ClickException("the application has no cache (call cache.init_app(app))")
    if number is None and len(caches) > 1:
        raise click.UsageError(f"say which cache: --cache N ({'; '.join(listed)})")
    if number is not None and not 1 <= number <= len(caches):
        raise click.UsageError(f"--cache {number} is none of the caches ({'; '.join(listed)})")
    return list(caches)[(number or 1) - 1]


def _described(cache: Cache) -> str:
    backend = cache.cache
    name = type(backend).__name__
    prefix = getattr(backend, "key_prefix", None)
    return f"{name} with the prefix {prefix!r}" if isinstance(prefix, str) and prefix else name


# What can be seen from here.


def _engine(cache: Cache) -> Any:
    """The engine of the store, if it has one."""
    try:
        return cache.cache.engine
    except (AttributeError, RuntimeError):
        return None


def _look(cache: Cache) -> None:
    """Fails for a memory in which nothing can have happened: the workers' are others."""
    engine = _engine(cache)
    if engine is None:
        return
    size = engine.size()
    if size["store"] != "memory" or size["entries"]:
        return
    if not any(_calls(counters) for counters in cache.stats()["functions"].values()):
        raise click.ClickException(
            f"{type(cache.cache).__name__} keeps its entries in the memory of each worker, and this "
            f"process ({os.getpid()}) has a memory of its own, in which nothing is "
            "(ask cache.stats() within a worker, or use SharedCache or RedisCache)"
        )


def _calls(counters: dict[str, Any]) -> int:
    calls: int = counters["hits"] + counters["misses"] + sum(counters["passes"].values())
    return calls


def _listed(cache: Cache, prefix: str) -> list[tuple[str, float | None]] | None:
    """The keys that begin so, in their order, and the seconds that are left to them."""
    engine = _engine(cache)
    if engine is None:
        return None
    found: list[tuple[str, float | None]] = []
    for begin in _beginnings(prefix):
        keys = engine.listed(begin)
        if keys is None:
            return None
        found += keys
    return sorted(found, key=lambda one: str(one[0]))


def _beginnings(prefix: str) -> Iterator[str]:
    # Memoized calls are keys of another kind, which is read off the beginning of the text.
    if not prefix.startswith(_MEMOIZED):
        yield prefix
        if _MEMOIZED.startswith(prefix):
            yield _MEMOIZED
    else:
        yield prefix


# The commands.


@_command
def _stats(cache: Cache) -> None:
    """What this process counted, and what the store holds."""
    _look(cache)
    report = cache.stats()
    keys = None if report["store"] == "memory" else _listed(cache, "")
    click.echo(f"store: {_described(cache)}")
    if report["store"] == "memory" or report.get("entries"):
        click.echo(f"entries: {report['entries']} in {report['bytes']} bytes")
        click.echo(f"evicted: {report['evicted']}")
    elif keys is not None:
        click.echo(f"keys: {len(keys)}")
    click.echo(
        f"counted in this process alone ({report['process']}); workers count for themselves:"
    )
    click.echo(f"{'hits':>9} {'misses':>9} {'s saved':>9}  function")
    for name, counters in sorted(report["functions"].items()):
        numbers = f"{counters['hits']:>9} {counters['misses']:>9} {counters['seconds_saved']:>9.3f}"
        click.echo(f"{numbers}  {_printable(name)}: {counters['verdict']}")
    for name, count in sorted(report["events"].items()):
        click.echo(f"event {name}: {count}")


@_command
@click.option("--prefix", default="", help="Only keys that begin so.")
def _list(cache: Cache, prefix: str) -> None:
    """The keys, and how long each is kept. What a purge made invalid may be among them."""
    _look(cache)
    listed = _listed(cache, prefix)
    if listed is None:
        raise click.ClickException(f"{_described(cache)} cannot list its keys")
    for key, left in listed:
        life = "for ever" if left is None else f"{left:.0f} s"
        click.echo(f"{life:>10}  {_printable(key)}")
    click.echo(f"{len(listed)} keys", err=True)


@_command
@click.argument("url")
@click.option("-H", "--header", "headers", multiple=True, help="A header: 'Name: value'.")
@click.option("--method", default="GET", show_default=True, help="The method of the request.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def _explain(cache: Cache, url: str, headers: tuple[str, ...], method: str, as_json: bool) -> None:
    """Why URL is, or is not, answered from the cache. The view is not called.

    A path, or a whole URL: the host is part of the key. Cookies are a header.
    """
    try:
        found = cache.explain(url, method=method, headers=dict(map(_header, headers)))
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        click.echo(json.dumps(found.as_dict(), indent=2))
        return
    for line in str(found).splitlines():
        click.echo(_printable(line))


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise click.UsageError(f"{text!r} is no header (write it as 'Name: value')")
    return name.strip(), value.strip()


@_command
@click.argument("keys", nargs=-1, required=True)
def _delete(cache: Cache, keys: tuple[str, ...]) -> None:
    """Removes KEYS, and what matches those with * or ? in them. A view's key with all its variants."""
    _look(cache)
    gone: list[str] = []
    for key in keys:
        if is_pattern(key) and _engine(cache) is not None:
            gone += sorted(cache.delete_many(key))
        elif is_pattern(key):
            raise click.ClickException(
                f"{_described(cache)} knows no patterns (name the key {key!r})"
            )
        elif cache.delete(key):
            gone.append(key)
        else:
            click.echo(f"not there: {_printable(key)}", err=True)
    for key in gone:
        click.echo(f"removed: {_printable(key)}")
    click.echo(f"{len(gone)} keys", err=True)


@_command
@click.option("--yes", is_flag=True, help="Do not ask.")
def _clear(cache: Cache, yes: bool) -> None:
    """Removes everything of the cache, and nothing else in its store."""
    _look(cache)
    if not yes:
        click.confirm(f"Remove everything in {_described(cache)}?", abort=True)
    cache.clear()
    click.echo(f"{_described(cache)} is empty")


def _printable(text: Any) -> str:
    """A key as one line that does nothing to a terminal."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(text))
