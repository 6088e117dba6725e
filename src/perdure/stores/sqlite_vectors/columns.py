"""Metadata by key, so that a filter is asked once for each value there is and not once for each record.

What an operator means stays with `filters.holds`; here it is only looked up which records have which value.
"""

import json
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perdure.filters import ORDER, All, Condition, Filter, Not, Operator, holds, kind_of

Mask = NDArray[np.bool_]
MOST_COLUMNS = 64
MANY_VALUES = 1000
LARGEST_SHARE = 8
SORTED_AT_A_TIME = 5000


class Column:
    """The values of one key: each that there is, and which of them a record has; the first stands for none."""

    def __init__(self, key: str) -> None:
        self.values: list[Any] = [None]
        self._key = key
        self._mention = json.dumps(key, ensure_ascii=False) + ":"
        self._codes = np.empty(0, dtype=np.int32)
        self._known = {"null": 0}
        self._equal: dict[tuple[str, Any], list[int]] = {("absent", None): [0]}
        self._orders: dict[str, Order] = {}

    def codes(self, metadata: Sequence[str], count: int) -> NDArray[np.int32]:
        """Return which value each of the first `count` records has."""
        missing = count - len(self._codes)
        if missing > 0:
            fresh = (self._code(metadata[place]) for place in range(len(self._codes), count))
            self._codes = np.concatenate([self._codes, np.fromiter(fresh, np.int32, missing)])
        return self._codes[:count]

    def verdicts(self, condition: Condition) -> Mask:
        """Return for which of the values a condition holds; among many, equality and order are looked up."""
        count, operator = len(self.values), condition.operator
        if count < MANY_VALUES or operator in ("contains", "icontains"):
            return np.fromiter((holds(condition, value) for value in self.values), np.bool_, count)
        verdicts = np.full(count, fill_value=operator in ("ne", "nin"), dtype=np.bool_)
        if operator in ORDER:
            order = self._order(condition.value)
            verdicts[order.holding(operator, condition.value)] = True
            verdicts[order.size :] = [holds(condition, value) for value in self.values[order.size :]]
        else:
            wanted = condition.value if isinstance(condition.value, tuple) else (condition.value,)
            equal = [code for value in wanted for code in self._equal.get((sort_of(value), value), ())]
            verdicts[equal] = operator in ("eq", "in")
        return verdicts

    def _order(self, operand: Any) -> "Order":
        sort = sort_of(operand)
        order = self._orders.get(sort)
        if order is None or len(self.values) - order.size > max(MANY_VALUES, order.size // LARGEST_SHARE):
            order = self._orders[sort] = Order(self.values, sort)
        return order

    def _code(self, text: str) -> int:
        if self._mention not in text:
            return 0
        value = json.loads(text).get(self._key)
        name = json.dumps(value, ensure_ascii=False)
        code = self._known.setdefault(name, len(self.values))
        if code == len(self.values):
            self.values.append(value)
            if not isinstance(value, list | dict):
                self._equal.setdefault((sort_of(value), value), []).append(code)
        return code


class Order:
    """The numbers or the texts of a column in ascending order, for those operators that ask for what is above or below.

    Made for the first `size` values of a column.
    """

    def __init__(self, values: Sequence[Any], sort: str) -> None:
        self.size = len(values)
        codes = [code for code, value in enumerate(values) if sort_of(value) == sort]
        for first in range(0, len(codes), SORTED_AT_A_TIME):  # one long sort would keep every other thread waiting
            codes[first : first + SORTED_AT_A_TIME] = sorted(
                codes[first : first + SORTED_AT_A_TIME], key=values.__getitem__
            )
        codes.sort(key=values.__getitem__)
        self._codes = np.array(codes, dtype=np.intp)
        self._values = [values[code] for code in codes]

    def holding(self, operator: Operator, operand: Any) -> NDArray[np.intp]:
        """Return which values are above or below another."""
        bisect = bisect_right if operator in ("gt", "lte") else bisect_left
        at = bisect(self._values, operand)
        return self._codes[at:] if operator in ("gt", "gte") else self._codes[:at]


def sort_of(value: Any) -> str:
    """Return the kind of a value as filters see it, with a kind of its own for what is not equal to itself."""
    return kind_of(value) if value == value else "no number"  # noqa: PLR0124


class Columns:
    """The columns of the keys that filters asked for last; made when asked for, and continued as records are added."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._columns: OrderedDict[str, Column] = OrderedDict()

    def mask(self, tree: Filter, metadata: Sequence[str], count: int) -> Mask:
        """Return for which of the first `count` records, whose metadata is given as JSON, a filter holds."""
        if isinstance(tree, Condition):
            return self._holding(tree, metadata, count)
        if isinstance(tree, Not):
            return ~self.mask(tree.part, metadata, count)
        parts = [self.mask(part, metadata, count) for part in tree.parts]
        if isinstance(tree, All):
            return np.logical_and.reduce(parts) if parts else np.ones(count, dtype=np.bool_)
        return np.logical_or.reduce(parts)

    def _holding(self, condition: Condition, metadata: Sequence[str], count: int) -> Mask:
        with self._lock:
            column = self._columns.get(condition.key)
            if column is None:
                column = self._columns[condition.key] = Column(condition.key)
                if len(self._columns) > MOST_COLUMNS:
                    self._columns.popitem(last=False)
            self._columns.move_to_end(condition.key)
            codes = column.codes(metadata, count)
            return column.verdicts(condition)[codes]
