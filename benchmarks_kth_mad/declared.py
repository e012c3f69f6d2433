"""What a YAML or JSON file says, held against the fields that a dataclass declares."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields
from math import isfinite
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml

from benchmarks_kth_mad.errors import BenchmarkError, shown

MOST = 2**32 - 1
"""The largest whole number in a file: what seeds may be at most, and no count ever is."""
MOST_YAML = 2**20
"""Bytes of a config: parsing them takes seconds already."""
_DEEPEST = 20
_LONGEST = 4000
Declared = TypeVar("Declared")


def read_yaml(text: str) -> object:
    """Numbers, words, lists and mappings from YAML.

    Each part is written out where it stands: aliases are refused, because a few lines of them can
    make a text that fills the memory.

    Raises:
        ValueError: not YAML, nested too deeply, or with aliases; one line that says which.
    """
    depth = 0
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):
                raise ValueError(f"alias *{event.anchor}: write out what it stands for")
            if isinstance(event, yaml.ScalarEvent) and len(event.value) > _LONGEST:
                raise ValueError(f"a value of more than {_LONGEST} characters")
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > _DEEPEST:
                raise ValueError(f"parts within parts, more than {_DEEPEST} deep")
        return yaml.safe_load(text)
    except Exception as error:  # of parsing; then index, key and value errors of odd scalars
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise ValueError(reason) from error


def build(kind: type[Declared], content: object, name: str) -> Declared:
    """Make a dataclass of a file's values, each of the type that its field declares.

    Args:
        kind: the dataclass. Its fields are numbers, words, None, choices among words, sequences and
            mappings of these, or other dataclasses, which must have been made already.
        content: the values by name. Lists become tuples.
        name: of this part of the file, for messages.

    Raises:
        BenchmarkError: no mapping, an entry that is not known or not there, a value of another type,
            or what the dataclass itself refuses. Numbers must be finite, whole ones at most `MOST`.
    """
    if not isinstance(content, Mapping):
        raise BenchmarkError(f"{name}: expected names with values, got {shown(content)}")
    known = {one.name: one for one in fields(kind)}  # type: ignore[arg-type]
    for one in content:
        if one not in known:
            raise BenchmarkError(f"{name}: entry: expected {', '.join(known)}, got {shown(one)}")
    for one, field in known.items():
        if one not in content and field.default is field.default_factory is MISSING:
            raise BenchmarkError(f"{name}: expected an entry {one}, got none")
    types = get_type_hints(kind)
    values = {one: _value(value, types[one], f"{name} {one}") for one, value in content.items()}
    return kind(**values)


def _value(value: Any, kind: Any, name: str) -> Any:
    """The value, where it is of the kind; a list as a tuple."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return _one_of(value, parts, name)
    if origin is Literal:
        if not (isinstance(value, str) and value in parts):
            raise BenchmarkError(f"{name}: expected {', '.join(parts)}, got {shown(value)}")
        return value
    if isinstance(origin, type) and issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            raise BenchmarkError(f"{name}: expected names with values, got {shown(value)}")
        keys = [_value(key, parts[0], name) for key in value]
        return {key: _value(value[key], parts[1], f"{name} {key}") for key in keys}
    if isinstance(origin, type) and issubclass(origin, Sequence):
        if not isinstance(value, list | tuple):
            raise BenchmarkError(f"{name}: expected a list, got {shown(value)}")
        return tuple(_value(one, parts[0], name) for one in value)
    fits, words = _PLAIN.get(kind, (lambda value: isinstance(value, kind), "names with values"))
    if not fits(value):
        raise BenchmarkError(f"{name}: expected {words}, got {shown(value)}")
    return value


def _one_of(value: Any, kinds: Sequence[Any], name: str) -> Any:
    complaint = BenchmarkError(f"{name}: of no kind")
    for kind in kinds:
        try:
            return _value(value, kind, name)
        except BenchmarkError as error:
            complaint = complaint if kind is NoneType else error
    raise complaint


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= MOST


def _is_number(value: object) -> bool:
    return _is_whole(value) or (isinstance(value, float) and isfinite(value))


def _is_text(value: object) -> bool:
    """A text that can be written again, and name a file."""
    if not isinstance(value, str) or "\0" in value:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:  # half of a pair of surrogates, which JSON can hold
        return False
    return True


_PLAIN: dict[Any, tuple[Callable[[Any], bool], str]] = {
    int: (_is_whole, "a whole number"),
    float: (_is_number, "a number"),
    str: (_is_text, "a word"),
    bool: (lambda value: isinstance(value, bool), "true or false"),
    NoneType: (lambda value: value is None, "nothing"),
}
