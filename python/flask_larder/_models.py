"""The tags of mapped objects: what a change of one makes out of date."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, cast

from sqlalchemy import event, inspect
from sqlalchemy.orm import Mapper, ORMExecuteState, QueryableAttribute, object_session

from .tags import fields_of, root_of

Given = Iterable[str] | Callable[[Any], Iterable[str]] | None

ATTRIBUTE = "__cache_tags__"
"""Where a class says its own tags."""


class ModelTags:
    """The tags of the objects of one class, and of the classes derived from it."""

    def __init__(self, model: type, given: Given) -> None:
        self._model = model
        self._given = _checked(given, f"tags={given!r}")
        for mapper in mappers_of(model):
            self._check(mapper.class_)

    # What an object's change makes out of date. Lists, because a tag may come twice.

    def of(self, target: Any) -> list[str]:
        """The tags of an object as it is now."""
        return self._of(target, target)

    def of_before(self, target: Any) -> list[str]:
        """The tags of an object that is about to change, as the database has it."""
        return self._of(target, _Before(target)) if _is_modified(target) else []

    def of_changed(self, target: Any) -> list[str]:
        """The tags of an object that has changed."""
        return self.of(target) if _is_modified(target) else []

    def of_deleted(self, target: Any) -> list[str]:
        """The tags of an object that is about to be deleted."""
        return self._of(target, _Before(target))

    def of_statement(self, state: ORMExecuteState) -> list[str]:
        """The tags that a statement on many rows makes out of date: those without a field."""
        tags: list[str] = []
        for mapper in mappers_of(self._model):
            if _concerns(state, mapper):
                given = self._tags_of(mapper.class_)
                if not callable(given):
                    tags += [name for name in given if not fields_of(name)]
        return tags

    def _of(self, target: Any, seen: Any) -> list[str]:
        """The tags of an object, by the attributes of `seen`."""
        given = self._tags_of(cast("Any", type(target)))
        if callable(given):
            found: Any = given(seen)
            return [str(tag) for tag in found]
        attributes = _Attributes(seen)
        return [name.format_map(attributes) for name in given]

    def _tags_of(self, model: type) -> Any:
        if self._given is not None:
            return self._given
        given = _checked(getattr(model, ATTRIBUTE, ()), f"{model.__name__}.{ATTRIBUTE}")
        return () if given is None else given

    # What is looked at before anything changes.

    def _check(self, model: type) -> None:
        given = self._tags_of(model)
        for name in () if callable(given) else given:
            for field in fields_of(name):
                if not hasattr(model, root_of(field)):
                    raise ValueError(
                        f"tag {name!r}: {model.__name__} has no attribute {root_of(field)!r}"
                    )

    def remember_old_values(self) -> None:
        """Lets a column that a tag is made of keep its old value when it is set, also where that has
        not been loaded: what carries the old tag is out of date as well."""
        event.listen(self._model, "mapper_configured", self._configured, propagate=True)
        for mapper in mappers_of(self._model):
            if mapper.configured:
                self._configured(mapper, mapper.class_)

    def _configured(self, _mapper: Mapper[Any], model: type) -> None:
        self._check(model)
        given = self._tags_of(model)
        for name in () if callable(given) else given:
            for field in fields_of(name):
                attribute = getattr(model, root_of(field))
                if isinstance(attribute, QueryableAttribute):
                    event.listen(attribute, "set", _noticed, active_history=True)


def _noticed(*_args: Any) -> None:
    """Listens, so that the old value is loaded; there is nothing to do."""


def _checked(given: Any, name: str) -> Any:
    if isinstance(given, str):
        raise TypeError(f"{name} is a str (use a list: [{given!r}])")
    return given if given is None or callable(given) else tuple(str(one) for one in given)


def mappers_of(model: type) -> Iterator[Mapper[Any]]:
    """The mappers of a class and of all classes derived from it."""
    found = cast("Any", inspect(model, raiseerr=False))
    if isinstance(found, Mapper):
        yield found
    for derived in model.__subclasses__():
        yield from mappers_of(derived)


def _concerns(state: ORMExecuteState, mapper: Mapper[Any]) -> bool:
    """Whether a statement changes rows of a mapped class."""
    named = state.bind_mapper
    if named is not None:
        return mapper.isa(named) or named.isa(mapper)
    return getattr(state.statement, "table", None) in mapper.tables


def _is_modified(target: Any) -> bool:
    session = object_session(target)
    return session is not None and session.is_modified(target)


class _Attributes(Mapping[str, Any]):
    """The attributes of an object, for the fields of a tag."""

    def __init__(self, target: Any) -> None:
        self._target = target

    def __getitem__(self, name: str) -> Any:
        return getattr(self._target, name)

    def __iter__(self) -> Iterator[str]:
        raise NotImplementedError

    __len__ = __iter__  # pyright: ignore[reportAssignmentType]


class _Before:
    """An object as it was before the changes that are about to be written."""

    def __init__(self, target: Any) -> None:
        self._target = target

    def __getattr__(self, name: str) -> Any:
        known = inspect(self._target).attrs
        if name in known:
            old = known[name].history.deleted
            if old:
                return old[0]
        return getattr(self._target, name)
