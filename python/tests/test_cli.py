"""`flask cache`: what it shows, what it removes, and what it cannot see."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from conftest import Calls, RedisServer, for_dialect, redis_config
from flask import Flask
from flask.testing import FlaskCliRunner

from flask_larder import Cache
from flask_larder.compat import Cache as CompatCache


class Runner:
    """Runs commands of one application."""

    def __init__(self, app: Flask) -> None:
        # click before 8.2 mixes what it writes into one stream unless it is told not to.
        mixes = "mix_stderr" in inspect.signature(CliRunner).parameters
        self._runner: FlaskCliRunner = app.test_cli_runner(**{"mix_stderr": False} if mixes else {})

    def __call__(self, *args: str, input: str | None = None) -> tuple[int, str, str]:
        """The exit code, what was printed, and what was said besides."""
        result = self._runner.invoke(args=["cache", *args], input=input)
        assert result.exception is None or isinstance(result.exception, SystemExit), result
        return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def run(app: Flask) -> Runner:
    """Runs commands of `app`."""
    return Runner(app)


@pytest.fixture(params=[Cache, CompatCache], ids=["safe", "compat"])
def either(app: Flask, store: dict[str, Any], request: pytest.FixtureRequest) -> Cache:
    """A cache of each dialect on each store."""
    made: Cache = request.param(app, config=for_dialect(request.param, store))
    return made


@pytest.fixture
def filled(app: Flask, either: Cache, calls: Calls) -> Cache:
    """A cache with a view, a function, and keys that people chose."""

    @app.get("/products")
    @either.cached(60)
    def products() -> str:
        return "a secret value"

    @either.memoize(60)
    def price(number: int) -> int:
        return calls()

    app.test_client().get("/products?page=1")
    app.test_client().get("/products?page=2")
    with app.app_context():
        price(1)
        either.set("product_1", "a secret value", timeout=50)
        either.set("product_2", "a secret value", timeout=0)
        either.set("odd\n\x1b[31mkey", "a secret value", timeout=50)
    return either


def cannot_list(cache: Cache, run: Runner) -> bool:
    """Whether the store cannot list its keys; then the commands that would have to say so."""
    if "Memcached" not in type(cache.cache).__name__:
        return False
    code, out, err = run("list")
    assert (code, out) == (1, "")
    assert err.endswith("cannot list its keys\n")
    code, out, err = run("delete", "product_?")
    assert (code, out) == (1, "")
    assert "tag the entries and bump the tag" in err
    return True


def test_list(run: Runner, filled: Cache) -> None:
    if cannot_list(filled, run):
        return
    code, out, err = run("list")
    assert code == 0
    assert "secret" not in out
    lines = [line.split(None, 2) for line in out.splitlines()]
    lives = {line.split("  ")[-1]: line[:10].strip() for line in out.splitlines()}
    assert lives["product_2"] == "for ever"
    assert 0 < int(lives["product_1"].removesuffix(" s")) <= 50
    assert 0 < int(lives["view//products"].removesuffix(" s")) <= 60
    assert "odd\\n\\x1b[31mkey" in lives
    assert err == f"{len(lines)} keys\n"
    # A view is one key, however many answers it has; a call is one as well.
    memoized = [key for key in lives if "price" in key or key.startswith("memoize/")]
    assert len(memoized) == 1 if filled.dialect.typed_keys else len(lives) >= 5


def test_list_by_prefix(app: Flask, run: Runner, filled: Cache) -> None:
    if cannot_list(filled, run):
        return

    def keys(prefix: str) -> list[str]:
        code, out, _ = run("list", "--prefix", prefix)
        assert code == 0
        return [line[12:] for line in out.splitlines()]

    assert keys("product_") == ["product_1", "product_2"]
    assert keys("view/") == ["view//products"]
    assert keys("nothing") == []
    if filled.dialect.typed_keys:
        for prefix in ("memo", "memoize/", "memoize/test_cli"):
            assert [key.startswith("memoize/test_cli") for key in keys(prefix)] == [True]
        filled.delete(keys("memoize/")[0])
        assert keys("memoize/") == []


def test_stats(app: Flask, run: Runner, filled: Cache) -> None:
    app.test_client().get("/products?page=1")
    code, out, _ = run("stats")
    assert code == 0
    assert "secret" not in out
    assert f"counted in this process alone ({os.getpid()})" in out
    (line,) = (line for line in out.splitlines() if "products" in line)
    misses = "2" if filled.dialect.whole_url else "1"
    assert line.split()[1] == misses
    # Which of the two depends on the machine.
    assert line.endswith((": saves time", ": a hit takes as long as a load"))
    name = type(filled.cache).__name__
    assert ("keys: " in out) == (name == "RedisCache")
    assert ("entries: " in out) == (name not in ("RedisCache", "MemcachedCache"))


def test_delete(app: Flask, run: Runner, filled: Cache) -> None:
    if cannot_list(filled, run):
        return
    code, out, err = run("delete", "view//products", "absent", "product_?")
    assert code == 0
    assert out.split("\n") == [
        "removed: view//products",
        "removed: product_1",
        "removed: product_2",
        "",
    ]
    assert err == "not there: absent\n3 keys\n"
    _, out, _ = run("list", "--prefix", "product")
    assert out == ""
    with app.app_context():
        assert filled.get("product_1") is None
    assert run("delete")[0] == 2


def test_clear_asks(app: Flask, run: Runner, filled: Cache) -> None:
    code, out, _ = run("clear", input="n\n")
    assert code == 1
    assert "Remove everything in" in out
    with app.app_context():
        assert filled.get("product_1") == "a secret value"
    assert run("clear", input="y\n")[0] == 0
    with app.app_context():
        assert filled.get("product_1") is None
        filled.set("product_1", 1)
    code, out, _ = run("clear", "--yes")
    assert (code, "is empty" in out, "Remove" in out) == (0, True, False)
    # Nothing is there any more; what was counted is.
    assert run("stats")[0] == 0
    with app.app_context():
        assert filled.get("product_1") is None


@pytest.mark.parametrize(
    "command", [["list"], ["stats"], ["delete", "x"], ["delete", "x*"], ["clear", "--yes"]]
)
@pytest.mark.parametrize("dialect", [Cache, CompatCache])
def test_the_memory_of_the_workers_is_not_to_be_seen(
    app: Flask, run: Runner, dialect: type[Cache], command: list[str]
) -> None:
    dialect(app, config={"CACHE_TYPE": "SimpleCache"})
    code, out, err = run(*command)
    assert (code, out) == (1, "")
    assert "keeps its entries in the memory of each worker" in err


@pytest.mark.parametrize("dialect", [Cache, CompatCache])
def test_stores_that_cannot_list(
    app: Flask, run: Runner, dialect: type[Cache], tmp_path: Path
) -> None:
    config: dict[str, Any] = {"CACHE_TYPE": "NullCache", "CACHE_NO_NULL_WARNING": True}
    if dialect is CompatCache:
        config = {"CACHE_TYPE": "cachelib.FileSystemCache", "CACHE_ARGS": [str(tmp_path)]}
    cache = dialect(app, config=config)
    name = str(config["CACHE_TYPE"]).removeprefix("cachelib.")
    code, out, err = run("list")
    assert (code, out, err) == (1, "", f"Error: {name} cannot list its keys\n")
    assert run("stats")[0] == 0
    assert run("clear", "--yes")[0] == 0
    if dialect is CompatCache:
        with app.app_context():
            cache.set("k", 1)
        assert run("delete", "k")[:2] == (0, "removed: k\n")
        code, _, err = run("delete", "k*")
        assert (code, "knows no patterns" in err) == (1, True)


def test_explain(app: Flask, run: Runner, filled: Cache) -> None:
    code, out, err = run("explain", "/products?page=1", "-H", "Accept-Language: de")
    assert (code, err) == (0, "")
    assert "secret" not in out
    lines = [line.partition(":") for line in out.splitlines()]
    told = {name.strip(): text.strip() for name, _, text in lines}
    assert told["page"] == "GET http://localhost/products?page=1"
    assert told["view"].endswith("products (endpoint products)")
    assert told["key"] == "view//products"
    assert told["now"] == f"hit: fresh for {told['now'].split()[-2]} s"
    # In the compat dialect both pages are one, and the second was a hit.
    assert told["last"].startswith(("miss ", "hit "))
    assert told["stored"].startswith("2 " if filled.dialect.whole_url else "1 ")
    assert run("explain", "https://elsewhere/products?page=1")[1].count("now:    hit") == (
        not filled.dialect.whole_url
    )


def test_explain_for_programs(app: Flask, run: Runner, filled: Cache) -> None:
    code, out, _ = run("explain", "/products?page=1", "--json", "--method", "head")
    assert code == 0
    found = json.loads(out)
    assert (found["now"], found["method"], found["key"]) == ("hit", "HEAD", "view//products")
    assert [one["asked"] for one in found["variants"]].count(True) == 1


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        (["/nothing"], 1, "no view answers /nothing"),
        (["products"], 1, "a path begins with /"),
        (["/products", "--method", "POST"], 1, "no view answers POST at /products"),
        (
            ["/products", "-H", "no header"],
            2,
            "'no header' is no header (write it as 'Name: value')",
        ),
        ([], 2, "URL"),
    ],
)
def test_what_explain_does_not_take(
    app: Flask, run: Runner, filled: Cache, command: list[str], code: int, said: str
) -> None:
    got, out, err = run("explain", *command)
    assert (got, out) == (code, "")
    assert said in err


def test_explain_says_what_it_cannot_see(app: Flask, run: Runner) -> None:
    cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})

    @app.get("/")
    @cache.cached(60)
    def index() -> str:
        return "text"

    code, out, _ = run("explain", "/")
    assert code == 0
    assert f"memory of this process ({os.getpid()}): each worker has its own" in out


def test_two_caches_in_one_application(app: Flask, run: Runner) -> None:
    one, two = (Cache(app, config={"CACHE_TYPE": "SimpleCache"}) for _ in range(2))
    with app.app_context():
        one.set("of one", 1)
        two.set("of two", 2)
    code, out, err = run("list")
    assert (code, out) == (2, "")
    assert "say which cache: --cache N (1: SimpleCache; 2: SimpleCache)" in err
    assert run("list", "--cache", "1")[1].split("  ")[-1] == "of one\n"
    assert run("list", "--cache", "2")[1].split("  ")[-1] == "of two\n"
    assert run("clear", "--cache", "2", "--yes")[0] == 0
    with app.app_context():
        assert [one.get("of one"), two.get("of two")] == [1, None]
    for number in ("0", "3"):
        code, _, err = run("list", "--cache", number)
        assert (code, f"--cache {number} is none" in err) == (2, True)


def test_a_command_of_the_applications_own_stays(app: Flask, run: Runner) -> None:
    @app.cli.command("cache")
    def own() -> None:
        click.echo("mine")

    Cache(app, config={"CACHE_TYPE": "SimpleCache"})
    assert run()[1] == "mine\n"


def test_a_store_that_is_away(app: Flask, run: Runner, own_redis: RedisServer) -> None:
    cache = Cache(app, config=redis_config(own_redis.url))
    with app.app_context():
        cache.set("k", 1)
    own_redis.stop()
    for command in (["list"], ["delete", "k"], ["clear", "--yes"]):
        code, out, err = run(*command)
        assert (code, out) == (1, "")
        assert err.startswith("Error: the store failed: ")


def test_a_real_process_sees_what_the_workers_stored(redis_url: str, tmp_path: Path) -> None:
    config = redis_config(redis_url)
    (tmp_path / "shop.py").write_text(
        f"""
from flask import Flask
from flask_larder import Cache

app = Flask("shop")
app.secret_key = "x"
cache = Cache(app, config={config!r})
"""
    )

    def flask(*args: str) -> subprocess.CompletedProcess[str]:
        paths = os.pathsep.join(path for path in sys.path if path)
        return subprocess.run(
            [sys.executable, "-m", "flask", "cache", *args],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": paths, "FLASK_APP": "shop"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    app = Flask("worker")
    app.secret_key = "x"
    cache = Cache(app, config=config)
    with app.app_context():
        cache.set("product_1", "a secret value", timeout=0)
        listed = flask("list")
        assert (listed.returncode, listed.stdout) == (0, "  for ever  product_1\n"), listed.stderr
        removed = flask("delete", "product_*")
        assert (removed.returncode, removed.stdout) == (0, "removed: product_1\n"), removed.stderr
        assert cache.get("product_1") is None
