"""The last few values that were made, by what they were made from. Refuses to know what they are."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Recent(Generic[Value]):
    """Keeps the values that were used last.

    Args:
        count: How many.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._values: OrderedDict[Hashable, Value] = OrderedDict()

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """The value for a key; made, and kept, when it is not there."""
        if key not in self._values:
            self.keep(key, make())
        self._values.move_to_end(key)
        return self._values[key]

    def keep(self, key: Hashable, value: Value) -> None:
        """Keep a value; the one that was not used for longest goes."""
        self._values[key] = value
        self._values.move_to_end(key)
        while len(self._values) > self._count:
            self._values.popitem(last=False)
