"""A field for any nesting of strings, numbers, lists and dictionaries, for use by templates."""

from __future__ import annotations

from typing import Any

from pants.engine.addresses import Address
from pants.engine.target import Field, InvalidFieldException
from pants.util.frozendict import FrozenDict


def freeze(value: Any, *, where: str) -> Any:
    """A hashable copy; InvalidFieldException names what is neither data nor a container of data."""
    if isinstance(value, dict):
        return FrozenDict(
            {str(key): freeze(item, where=f"{where}.{key}") for key, item in value.items()}
        )
    if isinstance(value, (list, tuple)):
        return tuple(freeze(item, where=where) for item in value)
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    raise InvalidFieldException(f"{where}: {value!r} is not a string, number, list or dictionary")


def thaw(value: Any) -> Any:
    """Dictionaries and lists again, as templates and JSON want them."""
    if isinstance(value, FrozenDict):
        return {key: thaw(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [thaw(item) for item in value]
    return value


class ValuesField(Field):
    alias = "values"
    default = FrozenDict()
    value: FrozenDict[str, Any]
    help = "Variables for the template: strings, numbers, lists, dictionaries."

    @classmethod
    def compute_value(cls, raw_value: Any, address: Address) -> FrozenDict[str, Any]:
        given = super().compute_value(raw_value, address)
        where = f"{address}: field `{cls.alias}`"
        if not isinstance(given, (dict, FrozenDict)):
            raise InvalidFieldException(f"{where} must be a dictionary, not {given!r}")
        frozen: FrozenDict[str, Any] = freeze(dict(given), where=where)
        return frozen
