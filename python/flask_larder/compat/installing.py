"""The name `flask_caching` for this package, everywhere in the process."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.util
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

__all__ = ["install"]

THEIRS = "flask_caching"
OURS = __name__.rpartition(".")[0]


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Answers an import of `flask_caching.x` with the module `flask_larder.compat.x` itself.

    The import system would find the file of `x` as well, and load it a second time under the other
    name: its classes would then be others.
    """

    def __init__(self) -> None:
        self._specs: dict[str, ModuleSpec | None] = {}

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """A specification that leads to our module; None for every other name."""
        if not (name == THEIRS or name.startswith(THEIRS + ".")):
            return None
        if importlib.util.find_spec(OURS + name.removeprefix(THEIRS)) is None:
            return None
        return ModuleSpec(name, self)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Our module, imported under its own name."""
        module = importlib.import_module(OURS + spec.name.removeprefix(THEIRS))
        self._specs[spec.name] = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Nothing is run a second time; the module gets back the specification that it came with."""
        spec = module.__spec__
        assert spec is not None
        module.__spec__ = self._specs.pop(spec.name)


def install() -> None:
    """Lets `import flask_caching` find this package, everywhere in the process.

    Call it before anything imports Flask-Caching, which may be installed or not; afterwards it raises
    a RuntimeError, for then some modules would have the one and some the other.

    >>> import flask_larder.compat
    >>> flask_larder.compat.install()
    >>> import flask_caching.contrib.uwsgicache
    >>> flask_caching is flask_larder.compat
    True
    """
    if sys.modules.get(THEIRS, sys.modules[OURS]) is not sys.modules[OURS]:
        raise RuntimeError(
            "flask_caching is imported already (call flask_larder.compat.install() before that)"
        )
    if not any(isinstance(finder, Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, Finder())
    importlib.import_module(THEIRS)
