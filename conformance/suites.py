"""The suites of others that Larder is held to: where they come from and what they need."""

from __future__ import annotations

import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

from installs import apt_install, ensure_venv, pythons
from project import ROOT, must

HERE = Path(__file__).resolve().parent
WORK = HERE / ".work"

# These two time a one-second lifetime against memcached's whole-second clock. They fail now and
# then against Flask-Caching too, so they are reported and not counted in the gate.
MEMCACHED_CLOCK = (
    "TestMemcachedCache::test_generic_timeout",
    "TestMemcachedCache::test_timeouts",
)


@dataclass(frozen=True)
class Suite:
    """One suite: its source distribution, pinned by a digest, and how it is run."""

    name: str
    # The requirement that pip downloads, and the name of the folder that it unpacks to.
    pin: str
    # The pytest plugin that puts Larder in the place of what the suite tests.
    plugin: str
    # The file in scripts/requirements with what the suite imports.
    needs: str
    # How many tests there are.
    tests: int
    # It starts its servers itself, on their usual ports; else they are started for it.
    own_servers: bool = False
    ungated: tuple[str, ...] = ()
    # What is run; the other files test stores that Flask-Caching has no class for.
    files: tuple[str, ...] = ("tests",)

    @property
    def exceptions(self) -> Path:
        """The file that names the tests which do not pass, each with its reason."""
        return HERE / "exceptions" / f"{self.name}.txt"

    @property
    def junit(self) -> Path:
        """Where pytest leaves its report."""
        return WORK / f"{self.name}.xml"

    @property
    def log(self) -> Path:
        """Where pytest's own words are kept."""
        return WORK / f"{self.name}.log"

    def is_ungated(self, test: str) -> bool:
        """Whether a test is one of those that fail by chance."""
        return test.endswith(self.ungated) if self.ungated else False


CURRENT = Suite(
    name="flask_caching-2.5.1",
    pin="suite.txt",
    plugin="fc_alias",
    needs="conformance",
    tests=292,
    ungated=MEMCACHED_CLOCK,
)
OLDER = Suite(
    name="flask_caching-2.4.1",
    pin="suite-2.4.1.txt",
    plugin="fc_alias",
    needs="conformance-2.4",
    tests=204,
    own_servers=True,
    ungated=MEMCACHED_CLOCK,
)
# MemcachedCache is left out: cachelib's takes the name of a client library, which Flask-Caching's
# does not, and every test of it gives one. DynamoDB, MongoDB and Valkey have no class there; uWSGI's
# tests run inside uWSGI alone. The tests of the serializers are about cachelib's own classes.
BACKENDS = Suite(
    name="cachelib-0.17.0",
    pin="suite-cachelib.txt",
    plugin="cachelib_alias",
    needs="conformance",
    tests=291,
    files=tuple(
        f"tests/test_{name}.py"
        for name in (
            "base_cache",
            "simple_cache",
            "redis_cache",
            "file_system_cache",
            "interface_uniformity",
        )
    ),
)
SUITES = (CURRENT, OLDER, BACKENDS)


def unpacked(suite: Suite) -> Path:
    """The unpacked source distribution; downloaded once, its digest checked by pip."""
    folder = WORK / suite.name
    WORK.mkdir(exist_ok=True)
    if not (folder / "tests").is_dir():
        download = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", WORK]
        must([*download, "--no-binary", "flask-caching,cachelib", "-r", HERE / suite.pin])
        with tarfile.open(WORK / f"{suite.name}.tar.gz") as archive:
            archive.extractall(WORK, filter="data")
    return folder


def interpreter_for(needs: str) -> Path:
    """A venv with what a suite imports."""
    # pylibmc has a ready wheel for 3.11 alone; elsewhere pip compiles it against the C library.
    python = pythons([(3, 11)]).get((3, 11))
    if python is None:
        apt_install("libmemcached-dev")
    return ensure_venv(ROOT / f".venv-{needs}", [needs], python or sys.executable)
