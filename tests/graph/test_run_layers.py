"""What the parts of the program may import, and where its prompts may be."""

import ast
import re
from pathlib import Path

import pytest

import labelwright.graph

ROOT = Path(labelwright.graph.__file__).parents[1]
BELOW = {"tools": (), "agents": ("tools",), "graph": ("agents", "tools")}
FILES = {layer: sorted((ROOT / layer).rglob("*.py")) for layer in [*BELOW, "app"]}


def imported(path):
    """(layer, module) of everything of this program that a file imports."""
    package = ("labelwright", *path.relative_to(ROOT).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *filter(None, [node.module])])
            names = [f"{module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            first, *rest = name.split(".")
            if first == "labelwright":
                yield rest[0] if rest else "", ".".join(rest)


def test_the_reader_of_imports_sees_them():
    seen = {layer for path in FILES["graph"] for layer, _ in imported(path)}
    assert seen == {"graph", "agents", "tools"}
    assert ("tools", "tools.gold.Gold") in set(imported(ROOT / "graph/nodes/ingest.py"))


@pytest.mark.parametrize("layer", BELOW)
def test_imports_run_one_way(layer):
    allowed = {layer, *BELOW[layer]}
    wrong = [(p.name, m) for p in FILES[layer] for part, m in imported(p) if part not in allowed]
    assert FILES[layer]
    assert wrong == []


@pytest.mark.parametrize("layer", FILES)
def test_nothing_is_imported_under_a_bare_name(layer):
    bare = {"tools", "agents", "graph", "app", "prompts"}
    for path in FILES[layer]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                assert not bare & {alias.name.split(".")[0] for alias in node.names}, path
            elif isinstance(node, ast.ImportFrom) and not node.level:
                assert str(node.module).split(".")[0] not in bare, path


def test_only_ingest_and_evaluation_open_gold():
    users = {
        str(path.relative_to(ROOT))
        for layer in BELOW
        for path in FILES[layer]
        for _, module in imported(path)
        if module.startswith("tools.gold")
    }
    assert users == {"graph/evaluation.py", "graph/nodes/ingest.py"}


@pytest.mark.parametrize("layer", FILES)
def test_no_prompt_is_written_in_code(layer):
    telling = re.compile(r"\bYou are\b|^# (system|user)$", re.MULTILINE)
    scopes = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for path in FILES[layer]:
        nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        documents = {ast.get_docstring(n, clean=False) for n in nodes if isinstance(n, scopes)}
        for node in nodes:
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                prompt = node.value not in documents and telling.search(node.value)
                assert not prompt, f"{path}:{node.lineno}: {node.value[:80]!r}"
