"""The house rules that no linter knows. Lists of exceptions may only shrink: one that is not needed fails too."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SRC = ROOT / "src" / "fairlead"
SOURCES = tuple(sorted(SRC.rglob("*.py")))
EVERYTHING = (*SOURCES, *sorted((ROOT / "tests").rglob("*.py")))

LONGEST_FILE = 400
LONGEST_PROVIDER = 300
LONGEST_FUNCTION = 60
MOST_PARAMETERS = 8

#: Functions past a limit, and why. Keyword-only parameters count; `self` does not.
EXCUSED: dict[str, str] = {}
#: Names that say nothing about what is inside.
EMPTY_NAMES = {"utils", "util", "helpers", "helper", "common", "base", "manager", "managers", "misc", "tools"}
#: Where a vendor may be named outside its own file and its stand-in: an example, and the demonstration.
# The word of `runtime/email.py` is what a caller may wish for, and a vendor has the same name.
MAY_NAME_VENDORS = {"model/call.py", "cli/demo.py", "cli/demo_crash.py", "cli/demo_email.py", "runtime/email.py"}
#: Vendors named like a word or a part of many: looked for only as a text of its own.
WORDS = {"slack", "square", "segment", "resend", "teams", "feeds", "ses", "sns", "looker"}
#: A letter stands everywhere; that nobody imports a provider is held by the import contracts.
TOO_SHORT = {"x"}
#: A protocol is nobody's: the transport speaks it, and a provider of that name only says how its replies are read.
PROTOCOLS = {"smtp"}
ENVIRONMENT = {"environ", "environb", "getenv", "getenvb"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def name_of(path: Path) -> str:
    return str(path.relative_to(SRC if path.is_relative_to(SRC) else ROOT))


@cache
def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(text_of(path))


def functions(node: ast.AST, within: str = "") -> Iterator[tuple[str, Function]]:
    """Yield every function with its dotted name."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Function | ast.ClassDef):
            dotted = f"{within}.{child.name}".lstrip(".")
            if not isinstance(child, ast.ClassDef):
                yield dotted, child
            yield from functions(child, dotted)
        else:
            yield from functions(child, within)


def is_long(function: Function) -> bool:
    return (function.end_lineno or 0) - function.lineno + 1 >= LONGEST_FUNCTION


def has_many_parameters(function: Function) -> bool:
    asked = function.args
    named = [each.arg for each in (*asked.posonlyargs, *asked.args, *asked.kwonlyargs)]
    return len([name for name in named if name not in {"self", "cls"}]) > MOST_PARAMETERS


def texts(tree: ast.Module) -> Iterator[str]:
    """Yield every text of the code that stands alone, as a name would that something is compared with."""
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str() as value):
                yield value.lower()
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                yield from (each.name.rpartition(".")[2] for each in names)


def provider_ids() -> set[str]:
    return {path.stem for path in (SRC / "providers").iterdir() if path.suffix in {"", ".py"} and path.stem[0] != "_"}


# --- Sizes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", EVERYTHING, ids=name_of)
def test_a_file_can_be_read_at_one_sitting(path: Path) -> None:
    longest = LONGEST_PROVIDER if path.is_relative_to(SRC / "providers") else LONGEST_FILE
    assert len(text_of(path).splitlines()) < longest


def test_functions_are_short_and_ask_for_little() -> None:
    offenders = {
        f"{name_of(path)} {dotted}"
        for path in SOURCES
        for dotted, function in functions(tree_of(path))
        if is_long(function) or has_many_parameters(function)
    }
    assert offenders - EXCUSED.keys() == set()
    assert EXCUSED.keys() - offenders == set(), "These need no excuse any more: strike them off."


# --- Names --------------------------------------------------------------------------------------------------------


def test_a_module_is_named_for_what_is_in_it() -> None:
    empty = [name_of(path) for path in EVERYTHING if EMPTY_NAMES & {*path.relative_to(ROOT).with_suffix("").parts}]
    assert empty == []


def test_vendors_are_named_only_where_they_live() -> None:
    names = re.compile("|".join(map(re.escape, provider_ids() - WORDS - TOO_SHORT - PROTOCOLS)), re.IGNORECASE)
    homes = (SRC / "providers", SRC / "testing" / "fakes")
    naming = {
        name_of(path)
        for path in SOURCES
        if not any(path.is_relative_to(home) for home in homes)
        and (names.search(text_of(path)) or WORDS & set(texts(tree_of(path))))
    }
    assert naming - MAY_NAME_VENDORS == set()
    assert MAY_NAME_VENDORS - naming == set(), "These name no vendor any more: strike them off."


# --- What only one room may do, and what nobody may ---------------------------------------------------------------


def reads_environment(node: ast.AST) -> bool:
    match node:
        case ast.Attribute(value=ast.Name(id="os"), attr=attr):
            return attr in ENVIRONMENT
        case ast.ImportFrom(module="os", names=names):
            return any(each.name in ENVIRONMENT for each in names)
    return False


def test_only_the_configuration_reads_the_environment() -> None:
    readers = {
        f"{name_of(path)}:{getattr(node, 'lineno', 0)}"
        for path in SOURCES
        if not path.is_relative_to(SRC / "config")
        for node in ast.walk(tree_of(path))
        if reads_environment(node)
    }
    assert readers == set()


def swallows_silently(handler: ast.ExceptHandler, line: str) -> bool:
    """Whether it takes any exception whatever, and gives no reason; what is raised again is not swallowed."""
    caught = ast.unparse(handler.type) if handler.type else ""
    is_raised_again = isinstance(handler.body[-1], ast.Raise) and handler.body[-1].exc is None
    return caught in {"", "Exception", "BaseException"} and "#" not in line and not is_raised_again


def test_whoever_catches_everything_says_why() -> None:
    silent = {
        f"{name_of(path)}:{node.lineno}"
        for path in SOURCES
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ExceptHandler) and swallows_silently(node, text_of(path).splitlines()[node.lineno - 1])
    }
    assert silent == set()


# --- The rules are seen to work -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "is_seen"),
    [
        ("try: x\nexcept Exception: pass", True),
        ("try: x\nexcept: pass", True),
        ("try: x\nexcept BaseException as e: log(e)", True),
        ("try: x\nexcept Exception as e: raise Y from e", True),
        ("try: x\nexcept Exception: pass  # a sink must not stop a call", False),
        ("try: x\nexcept BaseException:\n  y()\n  raise", False),
        ("try: x\nexcept ValueError: pass", False),
    ],
)
def test_silence_is_seen(code: str, is_seen: bool) -> None:
    (handler,) = (node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.ExceptHandler))
    assert swallows_silently(handler, code.splitlines()[1]) is is_seen


@pytest.mark.parametrize(
    ("code", "is_seen"),
    [
        ("import os\nos.environ['A']", True),
        ("os.getenv('A')", True),
        ("from os import environ", True),
        ("from os import path", False),
        ("os.cpu_count()", False),
        ("self.environment('A')", False),
    ],
)
def test_a_look_at_the_environment_is_seen(code: str, is_seen: bool) -> None:
    assert any(map(reads_environment, ast.walk(ast.parse(code)))) is is_seen


def test_parameters_and_lines_are_counted() -> None:
    names = ", ".join(f"p{n}" for n in range(MOST_PARAMETERS))
    body = "\n".join("        x" for _ in range(LONGEST_FUNCTION - 1))
    code = f"""class A:
    def fits(self, {names}): pass
    def asks(self, *, {names}, more): pass
    async def lasts(self):
{body}
"""
    found = dict(functions(ast.parse(code)))
    assert [name for name, each in found.items() if has_many_parameters(each)] == ["A.asks"]
    assert [name for name, each in found.items() if is_long(each)] == ["A.lasts"]
