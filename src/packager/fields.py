"""Kinds of fields that always have a value, so that no rule asks whether there is one."""

from __future__ import annotations

from pants.engine.target import (
    DictStringToStringField,
    MultipleSourcesField,
    StringField,
    StringSequenceField,
)
from pants.util.frozendict import FrozenDict


class RequiredString(StringField):
    required = True
    value: str


class DefaultString(StringField):
    default = ""
    value: str


class Strings(StringSequenceField):
    default = ()
    value: tuple[str, ...]


class RequiredStrings(StringSequenceField):
    required = True
    value: tuple[str, ...]


class StringTable(DictStringToStringField):
    default = FrozenDict()
    value: FrozenDict[str, str]


class MadeSources(MultipleSourcesField):
    """Always empty: a rule makes the sources from elsewhere."""

    alias = "_sources"
    default = ()
    expected_num_files = 0
    uses_source_roots = False
