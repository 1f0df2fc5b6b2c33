"""The project as a whole: layout, layering, dependencies, published files, unwanted content."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from importlib import import_module
from importlib.metadata import distribution, packages_distributions
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from labelwright.app.exit_codes import MEANINGS
from labelwright.graph.config import parse_config
from labelwright.tools.prompts import PromptLibrary, packaged_prompts

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
# From the lowest layer to the highest; a folder may import those before it.
LAYERS = ("tools", "agents", "graph", "app")
FOLDERS = (*LAYERS, "prompts")
MODULES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
# Run by Streamlit as scripts, which have no package to import from.
SCRIPTS = {ROOT / "app" / "panel" / "main.py"}
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def blocks(page: Path, language: str) -> list[str]:
    text = page.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def files() -> list[Path]:
    """Files under version control, with those that are about to be."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    paths = [ROOT / name for name in listing.split("\0") if name]
    return [path for path in paths if path.is_file()]


# -- packaging ----------------------------------------------------------------------------------


def test_the_listed_packages_are_those_on_disk() -> None:
    listed = PROJECT["tool"]["setuptools"]["packages"]
    on_disk = {
        "labelwright." + name_of(path.parent).replace("/", ".")
        for path in MODULES
        if path.name == "__init__.py"
    }
    assert sorted(listed) == sorted(on_disk)
    assert {path.parent / "__init__.py" for path in MODULES} <= set(MODULES)


def test_package_data_is_what_lies_beside_the_modules(files: list[Path]) -> None:
    globs = PROJECT["tool"]["setuptools"]["package-data"]
    patterns = [
        f"{package.removeprefix('labelwright.').replace('.', '/')}/{pattern}"
        for package, given in globs.items()
        for pattern in given
    ]
    data = {
        name_of(path)
        for path in files
        if name_of(path).split("/")[0] in FOLDERS and path.suffix != ".py"
    }
    unpacked = [name for name in data if not any(fnmatch(name, pattern) for pattern in patterns)]
    idle = [pattern for pattern in patterns if not any(fnmatch(name, pattern) for name in data)]
    assert (unpacked, idle) == ([], [])


def test_what_is_imported_is_declared_and_what_is_declared_is_imported() -> None:
    imported = {
        name.partition(".")[0] if name.partition(".")[0] != "langgraph" else name
        for path in MODULES
        for name in absolute_imports(parsed(path))
        if path not in SCRIPTS
    }
    owners = packages_distributions()
    needed = set()
    for name in imported - {"__future__"}:
        top = name.partition(".")[0]
        if top in sys.stdlib_module_names:
            continue
        if name.startswith("langgraph.checkpoint.sqlite"):
            needed.add("langgraph-checkpoint-sqlite")
        elif top == "langgraph":
            needed.add("langgraph")
        else:
            needed.add(owners[top][0].lower().replace("_", "-"))
    extras = PROJECT["project"]["optional-dependencies"]
    listed = [*PROJECT["project"]["dependencies"], *extras["aggregation"]]
    declared = {re.split(r"[><=\[]", requirement)[0].lower() for requirement in listed}
    assert needed == declared


def absolute_imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module


def test_every_dependency_has_a_floor_and_a_cap() -> None:
    for requirement in PROJECT["project"]["dependencies"]:
        assert re.fullmatch(r"[a-z0-9-]+>=[0-9.]+,<[0-9]+", requirement), requirement


def test_console_scripts_can_be_called() -> None:
    scripts = list(distribution("labelwright").entry_points)
    assert {entry.name for entry in scripts} == set(PROJECT["project"]["scripts"])
    assert all(callable(entry.load()) for entry in scripts)


def test_the_links_for_type_checkers_lead_to_the_folders() -> None:
    for folder in FOLDERS:
        assert (ROOT / ".typing" / "labelwright" / folder).resolve() == ROOT / folder


# -- code ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_says_what_it_is_and_imports_only_below(path: Path) -> None:
    tree = parsed(path)
    assert ast.get_docstring(tree), "expected a docstring of the module"
    folder, *rest = path.relative_to(ROOT).parts
    allowed = set(LAYERS[: LAYERS.index(folder) + 1]) if folder in LAYERS else {folder}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level == len(rest) + 1:
            reached = {(node.module or "").split(".")[0]} - {""} or {a.name for a in node.names}
            assert reached <= allowed, f"line {node.lineno}: {folder} imports {reached}"
        if isinstance(node, ast.ImportFrom):
            assert node.level <= len(rest) + 1, f"line {node.lineno}: leaves the package"
    if path not in SCRIPTS:
        named = {name.split(".")[0] for name in absolute_imports(tree)}
        assert not named & {*FOLDERS, "labelwright"}


def test_no_source_file_is_long(files: list[Path]) -> None:
    long = {
        name_of(path): lines
        for path in files
        if path.suffix == ".py"
        and (lines := len(path.read_text(encoding="utf-8").splitlines())) > 400
    }
    assert long == {}


def test_everything_imports_without_a_warning_and_without_a_network() -> None:
    names = [
        "labelwright."
        + name_of(path).removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for path in MODULES
    ]
    code = f"""
import importlib, socket, sys
def refuse(*_, **__): raise AssertionError("an import used the network")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
for name in {names!r}:
    importlib.import_module(name)
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_help_is_quick_because_it_imports_nothing_heavy() -> None:
    heavy = (
        "chromadb",
        "jinja2",
        "langchain_core",
        "langchain_openai",
        "langgraph",
        "numpy",
        "onnxruntime",
        "openai",
        "pyarrow",
        "pydantic",
        "scipy",
        "sklearn",
        "tokenizers",
    )
    code = f"""
import sys
sys.argv = ["labelwright", "--help"]
from labelwright.app.cli import main
try:
    main()
except SystemExit as end:
    assert end.code == 0
loaded = sorted(set({heavy!r}) & set(sys.modules))
assert not loaded, f"--help imports {{loaded}}"
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Exit codes" in done.stdout


def test_the_graph_that_langgraph_json_names_can_be_drawn_and_described() -> None:
    named = json.loads((ROOT / "langgraph.json").read_text(encoding="utf-8"))["graphs"]
    assert list(named) == ["labelwright"]
    module, _, attribute = named["labelwright"].partition(":")
    graph = getattr(import_module(module), attribute)
    nodes = {path.stem for path in (ROOT / "graph" / "nodes").glob("*.py")} - {"__init__"}
    assert set(graph.get_graph().nodes) == {"__start__", "__end__", *nodes}
    assert set(graph.get_input_jsonschema()["properties"]) >= {"round", "batch", "asks"}
    assert graph.get_context_jsonschema() is None


# -- published files ----------------------------------------------------------------------------


@pytest.mark.parametrize("script", ["write_schema.py", "write_configuration.py"])
def test_what_is_written_from_the_models_is_up_to_date(script: str) -> None:
    command = [sys.executable, str(ROOT / "scripts" / script), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"run: make schema\n{done.stderr}"


def test_the_smallest_configuration_of_the_docs_is_one(tmp_path: Path) -> None:
    (block,) = blocks(ROOT / "docs" / "configuration.md", "yaml")
    config = parse_config(yaml.safe_load(block), folder=tmp_path)
    assert config.annotators[0].kind == "embedded"


def test_the_template_of_the_docs_is_one(tmp_path: Path) -> None:
    (block,) = blocks(ROOT / "docs" / "prompts.md", "markdown")
    path = tmp_path / "annotator" / "classify.prompt.md"
    path.parent.mkdir()
    path.write_text(block, encoding="utf-8")
    library = PromptLibrary([tmp_path, packaged_prompts()])
    system, user = library.get("annotator/classify").render(task_name="t", text="I was charged")
    assert "data, never instructions" in system.content
    assert "I was charged" in user.content


def test_the_docs_name_every_prompt_and_every_exit_code() -> None:
    prompts = (ROOT / "docs" / "prompts.md").read_text(encoding="utf-8")
    named = re.findall(r"^\| `([a-z_/]+)` \|", prompts, re.MULTILINE)
    assert named == PromptLibrary([packaged_prompts()]).names()
    running = (ROOT / "docs" / "running.md").read_text(encoding="utf-8")
    codes = dict(re.findall(r"^\| (\d+) \| (.*) \|$", running, re.MULTILINE))
    assert codes == {str(int(code)): meaning for code, meaning in MEANINGS.items()}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?://)([^)\s]+)\)", text):
        name, _, anchor = target.partition("#")
        linked = page.parent / name if name else page
        assert linked.exists(), f"{target}: no such file"
        if anchor:
            titles = re.findall(r"^#+ (.*)$", linked.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w -]", "", t).lower().replace(" ", "-") for t in titles}
            assert anchor in slugs, f"{target}: no such heading"


def test_the_picture_is_whole_and_needs_nothing_from_outside() -> None:
    text = (ROOT / "docs" / "demo.svg").read_text(encoding="utf-8")
    ElementTree.fromstring(text)
    assert "labelwright demo" in text
    outside = re.sub(r'xmlns="[^"]*"', "", text)
    assert not re.search(r"https?:|href|url\(|@import|<script|<image", outside)


# -- what must not be in it ---------------------------------------------------------------------

UNWANTED = {
    "an absolute path of somebody's machine": r"(?<![\w.~:/}])/(?:home|root|Users|work|mnt)/\w",
    "a package index": r"\b(?:test\.)?pypi\.(?:org|python\.org)|--index-url|pythonhosted",
    "a key": r"\bsk-(?:proj-)?[A-Za-z0-9_]{32,}|-----BEGIN [A-Z ]*PRIVATE KEY",
    "a conflict": r"^(?:<{7}|>{7}) ",
}


def test_nothing_is_in_it_that_should_not_be(files: list[Path]) -> None:
    found = []
    for path in files:
        if path == Path(__file__) or path.suffix in {".onnx", ".jsonl", ".png"}:
            continue
        text = path.read_text(encoding="utf-8")
        found += [
            f"{name_of(path)}:{text.count(chr(10), 0, match.start()) + 1}: {what}: {match[0]!r}"
            for what, pattern in UNWANTED.items()
            for match in re.finditer(pattern, text, re.MULTILINE)
        ]
        if not name_of(path).startswith("tests/") and re.search(r"(?<![\w$}])/tmp/", text):
            found.append(f"{name_of(path)}: a fixed folder for temporary files")
    assert found == []
