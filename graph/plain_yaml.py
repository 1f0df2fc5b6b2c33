"""YAML of plain values, that loses nothing on the way in or out."""

from __future__ import annotations

from typing import Any

import yaml

_LINE_BREAKS = "\x85\u2028\u2029"
"""What YAML takes for line breaks beside the usual ones, and folds into spaces."""


class _Loader(yaml.SafeLoader):
    """YAML without repeated keys: the first value would be lost without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in keys:
                raise yaml.constructor.ConstructorError(
                    problem=f"the key {key.value!r} is given twice", problem_mark=key.start_mark
                )
            keys.add(str(key.value))
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    """Strings with unusual line breaks in double quotes, where they are escaped."""

    def represent_str(self, data: str) -> yaml.ScalarNode:
        style = '"' if any(character in _LINE_BREAKS for character in data) else None
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=style)


_Dumper.add_representer(str, _Dumper.represent_str)


def read_yaml(text: str) -> Any:
    """Plain values out of YAML.

    Raises:
        yaml.YAMLError: The text is no YAML, or gives a key twice.
    """
    return yaml.load(text, Loader=_Loader)


def write_yaml(plain: Any) -> str:
    """YAML of plain values, keys in their order; `read_yaml` gives them back."""
    return yaml.dump(plain, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
