"""The decorators of a cache: `cached` for views, `memoize` for functions."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from . import http_pages, refusing
from ._native import CachedFunction
from .callbacks import callback
from .config import early_hits
from .decorated import DECORATED, MISSING, Decorated, Windows
from .functions import Function, FunctionOptions
from .http import Http
from .invalidating import Given, Invalidating, checked
from .purging import Purging
from .steps import run, run_async
from .vary import Inputs
from .views import View, ViewOptions
from .wrappers import Cached, Memoized

if TYPE_CHECKING:
    from .cache import Cache

P = ParamSpec("P")
R = TypeVar("R")


class Decorating(Purging):
    """The part of `Cache` that decorates functions."""

    # What decorated functions are answered by in this dialect.
    view_class = View
    function_class = Function
    app: Any

    def cached(
        self,
        timeout: object = None,
        key_prefix: str | Callable[..., str] = "view/%s",
        unless: Callable[..., Any] | None = None,
        forced_update: Callable[..., Any] | None = None,
        is_stale: Callable[..., Any] | None = None,
        response_filter: Callable[[Any], Any] | None = None,
        query_string: bool | None = None,
        hash_method: Callable[..., Any] | None = None,
        cache_none: bool = False,
        make_cache_key: Callable[..., str] | None = None,
        source_check: bool | None = None,
        response_hit_indication: bool = False,
        *,
        stale: object = None,
        stale_on_error: object = None,
        throttle: object = None,
        wait: object = None,
        revalidate: object = None,
        soft_timeout: object = None,
        hard_timeout: object = None,
        background: bool = True,
        tags: Iterable[str] | Callable[..., Iterable[str]] | None = None,
        vary: Iterable[Any] | str | None = None,
        default: Any = MISSING,
        as_page: bool = False,
        narrow: bool = False,
        http: Http | bool | None = None,
        early: bool | str | None = None,
    ) -> Callable[[Callable[P, R]], Cached[P, R]]:
        """Caches what a view answers, by its path, its sorted query and its host.

        All parameters up to `response_hit_indication` are Flask-Caching's. `stale` is how long an
        expired answer is served while it is refreshed behind it, `stale_on_error` how long in place
        of an error; `throttle` how long the view is left in peace after a failure; `wait` how long a
        request waits for another's load; `revalidate` how long an answer is kept beyond all that for the
        view to confirm it (`cache.context.previous`, `cache.context.not_modified()`).
        `soft_timeout` is how long a request waits for the view before the answer is served that `stale`
        allows, `hard_timeout` how long it waits at all: then it gets a `CacheTimeout`, or what
        `stale_on_error` allows. The view runs on meanwhile, on another thread, and what it answers is
        stored; with `background=False` it is thrown away. `tags` are names for `invalidate_tags`; `{name}` in one is
        filled in from the view's arguments. `vary` says what else the answer depends on: header
        names, `cookie()`, `query()`, callables; `"auto"` learns it from what the view reads. With
        `narrow=True` the view sees of its request what the key holds, and nothing else; without, an
        answer that was made of something else is served and not stored. `default` is served when the first load fails.
        `as_page` stores the finished response, under the key that a Rust service with
        `KeyRule::flask` has for the same URL: with one store, each answers from what the other has
        stored. `http` serves the finished response as HTTP wants it, with validators, ranges and
        lifetimes that caches further on go by: True, or the options of `Http`; False switches
        `CACHE_HTTP` off for the view. `early` answers hits before Flask is asked, where nothing of the
        application could make another answer of them; `"skip-hooks"` does so also where hooks could.
        It is `CACHE_EARLY_HITS` for one view.

        Raises a TypeError for what is no function, or no option of that type.
        """
        windows = Windows.among(locals())
        refusing.bare(timeout, "cached")
        if self.dialect.careful:
            refusing.no_prefix(key_prefix)
            refusing.uncallable(
                unless=unless,
                forced_update=forced_update,
                is_stale=is_stale,
                response_filter=response_filter,
                make_cache_key=make_cache_key,
                hash_method=hash_method,
            )
        options = ViewOptions(
            timeout=timeout,
            unless=callback(unless),
            forced_update=callback(forced_update),
            is_stale=callback(is_stale, leading=1),
            response_filter=response_filter,
            cache_none=cache_none,
            windows=windows,
            tags=tags,
            default=default,
            key_prefix=key_prefix,
            query_string=query_string,
            make_cache_key=make_cache_key,
            source_check=source_check,
            hash_method=hash_method,
            response_hit_indication=response_hit_indication,
            as_page=as_page,
            narrow=narrow,
            http=self._http_given(http),
            early=self._early_given(early),
            inputs=Inputs.declared(vary),
        )
        if as_page:
            self._check_page(options)
        http_pages.check(options.inputs, options.http)
        self._check_key(options)

        def decorator(function: Callable[P, R]) -> Cached[P, R]:
            refusing.undecoratable(function, "cached")
            view = self.view_class(cast("Cache", self), function, options)
            return self._wrapped(view, view.readable_key)

        return decorator

    def _check_key(self, options: ViewOptions) -> None:
        """Refuses what only Larder's own key can do, where the key is another one."""
        asked = 'vary="auto"' if options.inputs.auto else "narrow=True" if options.narrow else None
        if asked is None:
            return
        if not self.dialect.careful:
            raise TypeError(f"{asked}: keys are Flask-Caching's here (use flask_larder)")
        if options.inputs.auto and (options.as_page or options.narrow):
            other = "as_page" if options.as_page else "narrow"
            raise TypeError(f"{asked}: what will be in the key is not known (leave out {other})")
        if options.make_cache_key is not None or callable(options.key_prefix):
            raise TypeError(f"{asked}: the key is your own (leave out the function that makes it)")

    def _http_given(self, http: Http | bool | None) -> Http | bool | None:
        """The option `http` of a view, checked; None where CACHE_HTTP has the word."""
        found = Http.of(http, "http")
        if found is None:
            return http
        if not self.dialect.careful:
            raise TypeError(
                "http=: views are answered as Flask-Caching does here (use flask_larder)"
            )
        self._serve_http()
        return found

    def _early_given(self, early: object) -> bool | str | None:
        """The option `early` of a view, checked; None where CACHE_EARLY_HITS has the word."""
        if early is None:
            return None
        found = early_hits(early, "early")
        if not found:
            return found
        if not self.dialect.careful:
            raise TypeError(
                "early=: views are answered as Flask-Caching does here (use flask_larder)"
            )
        cast("Cache", self)._early.ask_for_it()
        return found

    def _serve_http(self) -> None:
        """Notes that there are views that are served as HTTP wants it."""
        raise NotImplementedError

    def _check_page(self, options: ViewOptions) -> None:
        """Refuses what a Rust service could not know of the key of a page."""
        if not self.dialect.careful:
            raise TypeError("as_page=True: keys are Flask-Caching's here (use flask_larder)")
        if options.inputs.values:
            raise TypeError(
                "as_page=True: a callable in vary= is known to this program only (use header names, "
                "cookie() and query())"
            )
        usual = ViewOptions()
        for name in ("key_prefix", "query_string", "make_cache_key", "source_check"):
            if getattr(options, name) != getattr(usual, name):
                raise TypeError(f"as_page=True: the key is that of the URL (leave out {name})")

    def memoize(
        self,
        timeout: object = None,
        make_name: Callable[[str], str] | None = None,
        unless: Callable[..., Any] | None = None,
        forced_update: Callable[..., Any] | None = None,
        is_stale: Callable[..., Any] | None = None,
        response_filter: Callable[[Any], Any] | None = None,
        hash_method: Callable[..., Any] | None = None,
        cache_none: bool = False,
        source_check: bool | None = None,
        args_to_ignore: list[str] | None = None,
        *,
        stale: object = None,
        stale_on_error: object = None,
        throttle: object = None,
        wait: object = None,
        revalidate: object = None,
        soft_timeout: object = None,
        hard_timeout: object = None,
        background: bool = True,
        tags: Iterable[str] | Callable[..., Iterable[str]] | None = None,
        vary: Iterable[Any] | None = None,
        default: Any = MISSING,
    ) -> Callable[[Callable[P, R]], Memoized[P, R]]:
        """Caches what a function answers, by its arguments.

        `vary` takes callables whose values are part of the key besides the arguments: the tenant, the
        language. The other parameters are those of `cached`.
        """
        windows = Windows.among(locals())
        refusing.bare(timeout, "memoize")
        inputs = Inputs.declared(vary)
        if inputs.headers or inputs.cookies or inputs.parameters or inputs.auto:
            raise TypeError(
                "memoize(vary=...) takes callables only (headers, cookies and query parameters "
                "belong to a request: use cached)"
            )
        if self.dialect.careful:
            refusing.single_text(args_to_ignore, "args_to_ignore")
            refusing.uncallable(
                unless=unless,
                forced_update=forced_update,
                is_stale=is_stale,
                response_filter=response_filter,
                make_name=make_name,
                hash_method=hash_method,
            )
        options = FunctionOptions(
            timeout=timeout,
            unless=callback(unless),
            forced_update=callback(forced_update),
            is_stale=callback(is_stale, leading=1),
            response_filter=response_filter,
            cache_none=cache_none,
            windows=windows,
            tags=tags,
            default=default,
            make_name=make_name,
            hash_method=hash_method,
            source_check=source_check,
            args_to_ignore=list(args_to_ignore or ()),
            values=inputs.values,
        )

        def decorator(function: Callable[P, R]) -> Memoized[P, R]:
            refusing.undecoratable(function, "memoize")
            if self.dialect.careful:
                refusing.unknown_arguments(options.args_to_ignore, function)
            memoized = self.function_class(cast("Cache", self), function, options)
            wrapper = self._wrapped(memoized, memoized.readable_key)
            vars(wrapper)["delete_memoized"] = lambda: self.delete_memoized(wrapper)
            return wrapper

        return decorator

    def invalidates(self, *tags: Given) -> Callable[[Callable[P, R]], Callable[P, R]]:
        """Purges tags when the decorated function has written: it returned, and did not raise.

            @cache.invalidates("user:{user_id}", "users")
            def rename(user_id: int, name: str) -> None: ...

        `{name}` in a tag is filled in from the arguments, as they are when the function is called. A
        callable gets what the function returned, and the arguments as well if it has more than one
        parameter, and answers an iterable of tags: `lambda user: [f"user:{user.id}"]`.

        The purge is done before the caller gets the result. Within an open transaction that
        `flask_larder.sqlalchemy` watches it waits for the commit, and is dropped on a rollback. A
        store that is away does not fail the write: the purge is logged, owed, and carried out before
        this process reads from the store again.

        Raises a TypeError for a generator, which returns before it writes, and a ValueError for a
        field that is no argument.
        """
        given = checked(tags)

        def decorator(function: Callable[P, R]) -> Callable[P, R]:
            return Invalidating(cast("Cache", self), function, given).wrapped()

        return decorator

    def _wrapped(self, decorated: Decorated, make_cache_key: Any) -> Any:
        """The callable that stands in the place of the function."""
        function = decorated.function
        wrapper: Any
        if inspect.iscoroutinefunction(function) and self.dialect.awaitable:

            async def answer_async(*args: Any, **kwargs: Any) -> Any:
                return await run_async(decorated.steps(args, kwargs), function)

            wrapper = answer_async
        else:
            plain = self._plain(function)

            def answer(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
                return run(decorated.steps(args, kwargs), plain)

            wrapper = CachedFunction(answer)
        functools.update_wrapper(wrapper, function)
        setattr(wrapper, DECORATED, decorated)
        decorated.wrapper = wrapper
        wrapper.uncached = function
        wrapper.cache_timeout = decorated.options.timeout
        decorated.offer_key(make_cache_key)
        return wrapper

    def _plain(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function as one that blocks: a coroutine function by way of Flask's bridge."""
        if not inspect.iscoroutinefunction(function):
            return function

        def bridged(*args: Any, **kwargs: Any) -> Any:
            return self.app.ensure_sync(function)(*args, **kwargs)

        return bridged
