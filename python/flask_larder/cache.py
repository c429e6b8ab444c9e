"""The cache object: what an application creates, configures and decorates with."""

from __future__ import annotations

import functools
import hashlib
import logging
import os
import time
import weakref
from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, cast, overload

from werkzeug.utils import import_string

from . import _native, building
from . import config as settings
from ._native import Answer, Engine, FunctionStats, Key
from .backends import BACKENDS, Backend
from .background import Background
from .changing import watch_changes
from .cli import group
from .context import Context
from .decorated import Decorated, Options
from .decorating import Decorating
from .dialect import SAFE, Dialect
from .early import Early
from .failures import FAILED
from .foreign import ForeignCache
from .gathered import Gathered
from .http import Http
from .jinja2ext import JINJA_CACHE_ATTR_NAME, CacheExtension, Fragment
from .outcomes import Outcomes
from .reads import USER_NAMES, Read
from .statistics import report
from .steps import run
from .trail import Trail
from .views import View
from .warming import Warmed, Warmer, note

if TYPE_CHECKING:
    from flask import Flask

    from .explaining import Explanation
    from .invalidating import Holder
    from .wrappers import Memoized


def _tell(
    listener: weakref.WeakMethod[Callable[[str, str | None, str], None]],
    name: str,
    key: str | None,
    detail: str,
) -> None:
    tell = listener()
    if tell is not None:
        tell(name, key, detail)


_OUTAGES = {
    "store-failed": "the store failed",
    "store-alone": "the store is away, this process goes on alone",
    "store-full": "a value was not stored",
}
"""Events that come in crowds, as the log words them."""

_MOST_WARNINGS = 1000
"""Warnings that are remembered, so that each is given once; the names of inputs may be a client's."""


class Registry(dict["Cache", Any]):
    """The stores of one application by their caches; tells a cache when its store is exchanged."""

    def __setitem__(self, cache: Cache, backend: Any) -> None:
        super().__setitem__(cache, cache._accepted(backend))
        cache._disarm()


class Cache(Decorating):
    """A cache for Flask applications.

    >>> from flask import Flask
    >>> app = Flask("shop")
    >>> cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})
    >>> @cache.memoize(60)
    ... def double(number):
    ...     return 2 * number
    >>> double(21)
    42
    """

    dialect: Dialect = SAFE
    # The attributes that have a say in how calls are answered, and may be assigned at any time.
    _noticed = frozenset(("app", "hash_method", "source_check", "enable_signals", "get", "set"))
    # What fragments are answered by in this dialect.
    fragment_class = Fragment

    def __init__(
        self,
        app: Flask | None = None,
        with_jinja2_ext: bool = True,
        config: dict[str, Any] | None = None,
    ) -> None:
        self.config = settings.checked(config)
        self.with_jinja2_ext = with_jinja2_ext
        self.source_check = False
        self.hash_method: Callable[..., Any] = hashlib.sha256
        self.enable_signals = False
        # Who decorates keeps the function; the cache only looks at those that are still there.
        self._decorated: Gathered[Decorated] = Gathered()
        self._background = Background()
        self._holders: list[Holder] = []
        self._outcomes = Outcomes(self)
        self._trail = Trail()
        self._log = logging.getLogger(self.dialect.log_name)
        self._warned: set[str] = set()
        self._twins: dict[tuple[str, str], list[object]] = {}
        self._quiet_until: dict[str, float] = {}
        self._user_names = frozenset(USER_NAMES)
        self.context = Context(self)
        # Functions and fragments that read their request.
        self._readers: Gathered[Decorated] = Gathered()
        self._fragments: Fragment | None = None
        # What CACHE_HTTP says in each application.
        self._https: weakref.WeakKeyDictionary[Any, Http | None] = weakref.WeakKeyDictionary()
        self._serves_http = False
        self._early = Early()
        self._forgetting: Gathered[Any] = Gathered()
        # The configuration of the application that was initialised last, with all defaults.
        self._merged: dict[str, Any] | None = None
        # How the keys of views begin; None until it is asked for.
        self._view_starts: tuple[str, ...] | None = None
        if app is not None:
            self.init_app(app, config)

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        self._notice(name)

    def __delattr__(self, name: str) -> None:
        super().__delattr__(name)
        self._notice(name)

    def _notice(self, name: str) -> None:
        # What is answered natively must take notice of whatever people change here.
        if name in self._noticed and "_decorated" in vars(self):
            self._disarm()

    # Configuration.

    def init_app(self, app: Flask, config: dict[str, Any] | None = None) -> None:
        """Makes this the cache of `app`. Raises a ValueError for a wrong option, naming it."""
        given = settings.checked(config)
        merged = settings.merged(app.config, self.dialect, self.config, given)
        merged["CACHE_DEFAULT_TIMEOUT"] = settings.default_timeout(merged)
        self.app = app
        self.source_check = merged["CACHE_SOURCE_CHECK"]
        self.enable_signals = merged["CACHE_ENABLE_SIGNALS"]
        self._user_names = settings.user_names(merged)
        self._configure_hashing(merged)
        if self.with_jinja2_ext:
            setattr(app.jinja_env, JINJA_CACHE_ATTR_NAME, self)
            app.jinja_env.add_extension(CacheExtension)
        settings.complete_secret(merged, app.secret_key)
        self._warn(merged)
        self._outcomes.init_app(app, merged)
        self._https[app] = settings.http(merged, self.dialect)
        if self._serves_http or self._https[app] is not None:
            self._serve_http()
        self._early.init_app(app, settings.early(merged, self.dialect))
        # A command of that name of the application's own stays.
        if group.name not in app.cli.commands:
            app.cli.add_command(group)
        self._set_cache(app, merged)

    def _configure_hashing(self, config: dict[str, Any]) -> None:
        method = config["CACHE_HASH_METHOD"] or hashlib.sha256
        if not callable(method):
            raise ValueError(
                f"CACHE_HASH_METHOD={method!r} cannot be called (use one like hashlib.sha256)"
            )
        self.hash_method = method

    def _warn(self, config: dict[str, Any]) -> None:
        """Warns of a configuration that works and does not do what it seems to."""

    def _set_cache(self, app: Flask, config: dict[str, Any]) -> None:
        self._merged = config
        backend = self._build(app, config)
        registry = app.extensions.setdefault("cache", Registry())
        registry[self] = backend

    def _build(self, app: Flask, config: dict[str, Any]) -> Any:
        """The store that the configuration names."""
        name = settings.type_name(config)
        if name not in BACKENDS and "." not in name:
            raise settings.unknown_type(name, list(BACKENDS))
        found: Any = BACKENDS[name] if name in BACKENDS else import_string(name)
        if found in BACKENDS.values():
            settings.refuse_serializer(config, name)
            building.check_near(config, found, name)
            kwargs: dict[str, Any] = {
                "default_timeout": config["CACHE_DEFAULT_TIMEOUT"],
                "ignore_delete_many_errors": config["CACHE_IGNORE_ERRORS"],
                "on_event": self._listener(),
            }
            return found.factory(app, config, list(config["CACHE_ARGS"]), kwargs)
        backend = building.made(found, name, app, config)
        if config["CACHE_SERIALIZER"] is not None:
            building.set_serializer(backend, config["CACHE_SERIALIZER"], name)
        return backend

    def _listener(self) -> Callable[[str, str | None, str], object]:
        # The store outlives nothing that it tells of its events: it must not keep the cache.
        return functools.partial(_tell, weakref.WeakMethod(self._on_event))

    def _accepted(self, backend: Any) -> Any:
        """The store that is put into the registry for this cache: a back end of other people's is
        wrapped, also one that is put there later."""
        if isinstance(backend, Backend) or self._merged is None or not self.dialect.careful:
            return backend
        if isinstance(getattr(backend, "engine", None), Engine):
            return backend
        return ForeignCache(backend, building.wrapping(self._merged, self._listener()))

    # The store of the moment.

    def _app(self) -> Any:
        return _native.current_app() or self._last_app()

    def _last_app(self) -> Any:
        try:
            return self.app
        except AttributeError:
            kind = type(self).__name__
            raise AttributeError(
                f"{kind!r} object has no attribute 'app' (call init_app(app) before it is used)"
            ) from None

    @property
    def cache(self) -> Any:
        """The store of the current application."""
        app = _native.current_app() or self._last_app()
        try:
            return app.extensions["cache"][self]
        except KeyError:
            # Flask-Caching's error, by its very type; what to do about it stands below it.
            error = KeyError(self)
            error.add_note(
                f"no store of this cache in the application {app.name!r} (call init_app with it)"
            )
            raise error from None

    def _engine(self) -> Engine:
        return cast("Engine", self.cache.engine)

    def _default_timeout(self) -> float | None:
        timeout = self.cache.default_timeout
        return None if timeout == 0 else timeout

    # Fragments.

    def _render_fragment(
        self, timeout: object, name: str, vary: list[Any], caller: Callable[[], str]
    ) -> Any:
        if self._fragments is None:
            self._fragments = self.fragment_class(self)
        fragment = self._fragments
        if timeout == "del":
            self.delete(fragment.text(name, vary))
            return caller()
        args = (timeout, name, tuple(vary), caller)
        if self.dialect.careful and self._may_arm(self._app()):
            found = fragment.plain_hit(self._engine(), args)
            if found is not None:
                return found[0]
        return run(fragment.steps(args, {}), fragment.function)

    # HTTP.

    def _serve_http(self) -> None:
        self._serves_http = True
        for known in self._https.keyrefs():
            app = known()
            if app is None or app in self._forgetting:
                continue
            self._forgetting.add(app)
            watch_changes(self, app)

    def _http(self) -> Http | None:
        """What CACHE_HTTP says in the current application."""
        return self._https.get(self._app())

    def _views(self) -> list[View]:
        """The views of this cache."""
        return [decorated for decorated in self._decorated if isinstance(decorated, View)]

    # What the decorated functions ask of their cache.

    def _register(self, decorated: Decorated) -> None:
        self._decorated.add(decorated)
        self._view_starts = None

    def _counters(self, sort: str, name: str) -> FunctionStats | None:
        """The counters of a function, where one of the same name is decorated already."""
        known = (d.stats for d in self._decorated if (d.sort, d.name) == (sort, name))
        return next(known, None)

    def _number_of(self, sort: str, name: str, code: object) -> int:
        """The number of a function among all that ever had this name here, from 1 upwards.

        Functions of one code that hold nothing of their own are one; `code` is None for others.
        """
        known = self._twins.setdefault((sort, name), [])
        if code is None or code not in known:
            known.append(code)
            return len(known)
        return known.index(code) + 1

    def _disarm(self) -> None:
        for decorated in self._decorated:
            decorated.disarm()

    def _may_arm(self, app: Any) -> bool:
        plain = not self.enable_signals and not self._overrides("get")
        return plain and not self._outcomes.wanted(app)

    def _overrides(self, name: str) -> bool:
        """Whether decorated functions have to go by way of a method that somebody put in the place of
        ours, in a subclass or on this object."""
        if not self.dialect.careful:
            return False
        return name in vars(self) or getattr(type(self), name) is not getattr(Decorating, name)

    def _swallows(self, error: Exception) -> bool:
        """Whether an error of the user's own callables is logged and the function called all the
        same. Errors of a store never come here: the engine answers them with a pass."""
        del error
        return False

    def _joined(self, value: Any) -> Any:
        return value

    def _note_hit(self, decorated: Decorated, key: Key, answer: Answer) -> None:
        self._outcomes.hit(decorated, key, answer)
        self._trail.note(decorated, key, "hit", answer.served or "fresh")

    def _note_miss(self, decorated: Decorated, key: Key, outcome: Any) -> None:
        self._outcomes.miss(decorated, key, outcome)
        self._note_stored(decorated, key, outcome)

    def _note_begun(self, decorated: Decorated, key: Key) -> None:
        # Headers are sent before it is known what becomes of the answer.
        self._outcomes.miss(decorated, key, ("begun", None, 0))

    def _note_stored(self, decorated: Decorated, key: Key, outcome: Any) -> None:
        if outcome[1] is not None:
            decorated.stats.count_pass(outcome[1])
            self._warn_uncodable(decorated, outcome[1])
        self._trail.note(decorated, key, "miss", outcome[1] or outcome[0])
        note(decorated, key, outcome[0] == "stored", outcome[1] or outcome[0])

    def _note_unless(self, decorated: Decorated) -> None:
        decorated.stats.count_pass("bypass")
        self._trail.note(decorated, None, "pass", "bypass")
        note(decorated, None, False, "bypass")

    def _note_pass(self, decorated: Decorated, reason: str) -> None:
        decorated.stats.count_pass(reason)
        self._warn_uncodable(decorated, reason)
        self._outcomes.bypass(decorated, reason)
        self._trail.note(decorated, None, "pass", reason)
        note(decorated, None, False, reason)

    def _note_unkeyed(self, decorated: Decorated, read: Read, place: str | None) -> None:
        """Says once for each view and input why the view is not stored."""
        warning = f"{decorated.name}: {read}"
        if warning in self._warned or len(self._warned) >= _MOST_WARNINGS:
            return
        self._warned.add(warning)
        where = "" if place is None else f" at {place}"
        self._log.warning(
            "%s read %s%s, which is not in its key, so that its answer is served and not stored (%s)",
            decorated.name,
            read.words,
            where,
            read.cure,
        )

    def _warn_uncodable(self, decorated: Decorated, reason: str) -> None:
        """Says once what keeps a function from being cached at all."""
        if not reason.startswith(("uncodable", "unkeyable", "stream", "too-large")):
            return
        warning = f"{decorated.name}: {reason}"
        if warning in self._warned:
            return
        self._warned.add(warning)
        if reason == "too-large":
            self._log.warning(
                "an answer of %s is larger than %s allows, and is not stored",
                decorated.name,
                getattr(self.cache, "limit", "CACHE_MAX_VALUE"),
            )
        else:
            self._log.warning("%s is called each time: %s", decorated.name, reason)

    def _on_event(self, name: str, key: str | None, detail: str) -> None:
        """Events of the engine that a person may want to know of."""
        count = self._outcomes.events[name] = self._outcomes.events.get(name, 0) + 1
        if name in FAILED:
            self._log.warning("the load of %s failed, %s: %s", key, FAILED[name], detail)
        elif name == "unreadable" and detail not in self._warned:
            # One key tells what is the matter with all of them.
            self._warned.add(detail)
            self._log.warning("%s in the store is %s: it counts as a miss", key, detail)
        elif name == "store-replaced":
            self._log.warning("everything in the store is gone: %s", detail)
        elif name == "store-rebuilt":
            self._log.info("the store was put right: %s", detail)
        elif name in _OUTAGES and time.monotonic() >= self._quiet_until.get(name, 0):
            # An outage is one piece of news, however many requests meet it.
            self._quiet_until[name] = time.monotonic() + 10
            self._log.warning("%s (%d times so far): %s", _OUTAGES[name], count, detail)

    # Filling it.

    @overload
    def warm(  # pyright: ignore[reportOverlappingOverload]
        self, f: Memoized[..., Coroutine[Any, Any, Any]], /, *args: Any, **kwargs: Any
    ) -> Coroutine[Any, Any, Warmed]: ...

    @overload
    def warm(self, f: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Warmed: ...

    def warm(self, f: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Loads and stores what a view or function answers, whatever is stored already.

            cache.warm(product, product_id=7)
            cache.warm(products, query={"page": 2}, base_url="https://shop.example")
            cache.warm(price, 7, currency="EUR")

        A view is asked by a GET through the application, hooks included, at the URL of its arguments;
        `query`, `headers` and `base_url` say what else is in its key. The host is: without `base_url`
        it is SERVER_NAME, or localhost. What views call is asked in such a request, a memoized function
        in an application context. Without a current application it is the cache's only one.

        Returns a `Warmed`: true if something was stored, else with the `reason`. A memoized coroutine
        function is warmed by a coroutine, to be awaited; a view that is one by a call as any other.
        What the function raises is raised here, unless something stored can stand in; of a view, the
        application's error handlers see it.
        Raises a TypeError for what this cache did not decorate, a ValueError where no URL leads to a
        view, and a RuntimeError where several applications are meant.
        """
        return Warmer(self, f).warm(args, kwargs)

    # Looking at it.

    def stats(self) -> dict[str, Any]:
        """What caching did in this process: per function, and the store as a whole.

        Each function has hits, misses, load_seconds, hit_seconds, bytes, seconds_saved and a verdict, which
        says so when its cache costs more than it saves. `told_by` is how near copies learn of changes.
        """
        functions = {decorated.name: decorated.stats.as_dict() for decorated in self._decorated}
        return report(functions, self._engine().size(), dict(self._outcomes.events), os.getpid())

    def explain(
        self,
        path: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, Any] | str | None = None,
        base_url: str | None = None,
    ) -> Explanation:
        """Why a page is, or is not, answered from the cache; the view is not called.

            print(cache.explain("/products?page=2", headers={"Accept-Language": "de"}))

        `path` is the path of a URL with or without its query, or a whole URL; what else the key holds
        comes from `headers`, `query` and `base_url`, as it would from a client. The answer says which
        view it is, the parts of its key, what is stored under it, what became of the last request for
        it in this process, and what would be done about the next. Hooks of the application are not
        run, key functions and callables in `vary=` are.

        Raises a TypeError for what is no path, such as a memoized function, a ValueError where no view
        of this cache answers, and an OSError while the store is away.
        """
        # Most programs never come here.
        from .explaining import explain

        how = {"headers": headers, "query": query, "base_url": base_url}
        return explain(self, path, method, how)


__all__ = ["Cache", "Options"]


_native.know_classes(Cache, Backend, Registry)
