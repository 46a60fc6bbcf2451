"""Random streams: a model's random numbers in training, and the order of its rows."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from bpestimator.nn.arrays import Array


@dataclass(eq=False)  # models share a stream only if it is the same one
class RandomStream:
    """The random number generators of a model, and the order of its rows.

    Models in training may share a stream: then they take their rows in the same order, and have
    the same dropout masks.

    Attributes
    ----------
    rng : RandomState
        Shuffles the rows.
    order : ndarray of int or None
        The present order of the rows, by their places among those trained on; the next epoch
        shuffles it further.
    generator : numpy.random.Generator or None
        Draws the masks of dropout; None without.
    """

    rng: np.random.RandomState
    order: Array | None = None
    generator: np.random.Generator | None = None

    def copy(self) -> RandomStream:
        """A stream with the same future, independent of this one."""
        return RandomStream.from_dict(self.to_dict())

    def key(self) -> Hashable:
        """Equal for streams with the same future."""
        rng: dict[str, Any] = self.rng.get_state(legacy=False)
        state = rng.pop("state")
        order = None if self.order is None else self.order.tobytes()
        return (
            state["key"].tobytes(),
            state["pos"],
            repr(rng),
            order,
            repr(generator_state(self.generator)),
        )

    def to_dict(self) -> dict[str, Any]:
        """A deep copy in plain arrays, dicts and numbers."""
        return {
            "rng": self.rng.get_state(legacy=False),
            "order": None if self.order is None else self.order.copy(),
            "generator": generator_state(self.generator),
        }

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> RandomStream:
        """A stream equal to the one that :meth:`to_dict` saved."""
        rng = np.random.RandomState(0)
        rng.set_state(saved["rng"])
        order = None if saved["order"] is None else saved["order"].copy()
        return cls(rng, order, generator_from(saved["generator"]))


def shared_copies(streams: Iterable[RandomStream]) -> list[RandomStream]:
    """A copy of each stream; streams with the same future share one."""
    streams = list(streams)
    keys = {stream: stream.key() for stream in dict.fromkeys(streams)}
    copies = {key: stream.copy() for stream, key in keys.items()}
    return [copies[keys[stream]] for stream in streams]


def generator_state(generator: np.random.Generator | None) -> dict[str, Any] | None:
    """The state of a generator, as plain dicts and numbers."""
    return None if generator is None else dict(generator.bit_generator.state)


def generator_from(state: dict[str, Any] | None) -> np.random.Generator | None:
    """A generator in the state that :func:`generator_state` returned."""
    if state is None:
        return None
    generator = np.random.default_rng(0)
    generator.bit_generator.state = state
    return generator
