"""The house rules that ruff and mypy do not know, each a function from a source to what is wrong with it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

LONGEST_FILE = 400
LONGEST_FUNCTION = 40
SAYS_NOTHING = frozenset({"manager", "managers", "helper", "helpers", "util", "utils", "base", "misc"})
WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
# Both are written so that this file does not break the rule it states.
SLEEP = "time" + ".sleep("
OF_ONE_MACHINE = re.compile(r"(?<![\w.])/(?:work|root|home|Users)/|[.]library\b|pypi[.]org|python[h]osted")


def long_functions(source: str) -> Iterator[str]:
    """Functions over forty lines, their docstrings not counted."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = ast.get_docstring(node, clean=False)
            lines = (node.end_lineno or 0) - node.lineno + 1
            lines -= docstring.count("\n") + 1 if docstring else 0
            if lines > LONGEST_FUNCTION:
                yield f"{node.name}: {lines} lines, at most {LONGEST_FUNCTION}"


def empty_names(stem: str, source: str) -> Iterator[str]:
    """Names of the module and of its classes that do not say what is in them."""
    names = [stem, *(node.name for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ClassDef))]
    for name in names:
        words = SAYS_NOTHING & {word.lower() for word in WORD.findall(name)}
        if words:
            yield f"{name}: {', '.join(sorted(words))} says nothing, name what it is"


def lacks_docstring(source: str) -> bool:
    """Whether a module says nothing about itself."""
    return not ast.get_docstring(ast.parse(source))


def contract_methods(contract: str) -> list[str]:
    """The methods of the class `Driver`, in the order of the contract."""
    for node in ast.parse(contract).body:
        if isinstance(node, ast.ClassDef) and node.name == "Driver":
            return [method.name for method in _methods(node) if not method.name.startswith("_")]
    raise ValueError("the contract holds no class Driver: expected `class Driver` at its top level")


def drivers(source: str) -> list[ast.ClassDef]:
    """The classes of a module that are drivers, told by their own name or a base's."""
    classes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ClassDef)]
    return [found for found in classes if any(name.endswith("Driver") for name in (found.name, *_bases(found)))]


def out_of_order(driver: ast.ClassDef, order: list[str]) -> list[str]:
    """The driver's own methods of the contract that stand before one they should follow."""
    own = [method.name for method in _methods(driver) if method.name in order]
    ranks = [order.index(name) for name in own]
    return [name for place, name in enumerate(own) if ranks[place] > min(ranks[place:])]


def _methods(node: ast.ClassDef) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [member for member in node.body if isinstance(member, ast.FunctionDef | ast.AsyncFunctionDef)]


def _bases(node: ast.ClassDef) -> list[str]:
    named = [part.value if isinstance(part, ast.Subscript) else part for part in node.bases]
    return [part.attr if isinstance(part, ast.Attribute) else getattr(part, "id", "") for part in named]
