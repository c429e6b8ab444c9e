"""One algorithm for callers that block and callers that await.

What a cached call does is written once, as a generator that yields each step that may wait: an
operation of the engine, or the user's function. A driver carries the steps out, here and now or by
awaiting, and sends the results back in.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextvars import copy_context
from functools import partial
from typing import Any, Union

from ._native import Answer, Engine, Key, Patience, Policy
from ._waiting import finish, finish_in_greenlet, greenlet_park

Step = Union["Lookup", "Store", "Load", "Wait", "Begun"]
Steps = Generator[Step, Any, Any]


# Plain classes: they are made for every call, and dataclasses take long to define and to make.


class Lookup:
    """Ask the engine what to do; may wait for somebody else's load. Gives an `Answer`."""

    __slots__ = ("chain", "engine", "key", "policy")

    def __init__(self, engine: Engine, key: Key, policy: Policy, chain: tuple[int, ...]) -> None:
        self.engine = engine
        self.key = key
        self.policy = policy
        self.chain = chain


class Store:
    """Any other operation of the engine; may do I/O. Gives what it answers."""

    __slots__ = ("engine", "work")

    def __init__(self, engine: Engine, work: Callable[[], Any]) -> None:
        self.engine = engine
        self.work = work


class Load:
    """Call the user's function. Gives what it returns."""

    __slots__ = ("args", "kwargs")

    def __init__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.args = args
        self.kwargs = kwargs


class Begun:
    """The user's function is being called by somebody else."""

    __slots__ = ()


class Wait:
    """Wait for a load that runs elsewhere. Gives an `Answer`."""

    __slots__ = ("engine", "patience")

    def __init__(self, engine: Engine, patience: Patience) -> None:
        self.engine = engine
        self.patience = patience


def run(steps: Steps, function: Callable[..., Any]) -> Any:
    """Carries the steps out on the caller's own thread."""
    try:
        step = next(steps)
        while True:
            try:
                result = _carry_out(step, function)
            except BaseException as error:
                step = steps.throw(error)
            else:
                step = steps.send(result)
    except StopIteration as stop:
        return stop.value
    finally:
        steps.close()


def _carry_out(step: Step, function: Callable[..., Any]) -> Any:
    if isinstance(step, Load):
        return function(*step.args, **step.kwargs)
    if isinstance(step, Begun):
        return None
    engine = step.engine
    # A store that does I/O would hold up every greenlet of this thread.
    park = greenlet_park() if engine.blocks else None
    if isinstance(step, Lookup):
        if park is not None:
            pending = engine.lookup_soon(step.key, step.policy, step.chain)
            return finish_in_greenlet(pending, park)
        return engine.lookup(step.key, step.policy, step.chain)
    if isinstance(step, Wait):
        if park is not None:
            return finish_in_greenlet(step.patience.wait_soon(), park)
        return step.patience.wait()
    return step.work() if park is None else park.elsewhere(step.work)


async def run_async(steps: Steps, function: Callable[..., Any]) -> Any:
    """Carries the steps out on the running event loop."""
    try:
        step = next(steps)
        while True:
            try:
                result = await _await_step(step, function)
            except BaseException as error:
                step = steps.throw(error)
            else:
                step = steps.send(result)
    except StopIteration as stop:
        return stop.value
    finally:
        steps.close()


async def _await_step(step: Step, function: Callable[..., Any]) -> Any:
    if isinstance(step, Load):
        return await function(*step.args, **step.kwargs)
    if isinstance(step, Begun):
        return None
    engine = step.engine
    # Also a back end in Python would hold up the event loop.
    blocks = engine.blocks or engine.blocks_in_python
    if isinstance(step, Lookup):
        answer: Answer = await finish(
            engine.lookup_soon(step.key, step.policy, step.chain), blocks=blocks
        )
        return answer
    if isinstance(step, Wait):
        return await finish(step.patience.wait_soon(), blocks=blocks)
    if not blocks:
        return step.work()
    # Most programs never come here, and asyncio takes longer to import than all of this package.
    import asyncio

    # What runs there may call back into the user's code (pickling): it gets the caller's context.
    context = copy_context()
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(None, partial(context.run, step.work))
