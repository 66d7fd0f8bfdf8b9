"""The house: no rooms in a circle, no hands in another object's pockets."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src"
MODULES = {
    ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((SOURCE / "pose_refine").rglob("*.py"))
}
# Every format is built upon poses, whose methods know them; the command line sets up threads before torch is there.
LATE = {"pose_refine.poses", "pose_refine.__main__"}


def tree_of(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(node):
    """Names of this project's modules that an import statement is of."""
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names if alias.name in MODULES}
    if isinstance(node, ast.ImportFrom) and node.module in MODULES:
        below = {f"{node.module}.{alias.name}" for alias in node.names}
        return (below & MODULES.keys()) or {node.module}
    return set()


def functions(tree):
    return [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]


def test_no_imports_in_a_circle():
    graph = {name: set().union(*(imported(node) for node in tree_of(path).body)) for name, path in MODULES.items()}
    assert len(list(TopologicalSorter(graph).static_order())) >= len(MODULES)  # raises CycleError


def test_imports_of_this_project_stand_at_the_top():
    late = {
        name
        for name, path in MODULES.items()
        if any(imported(node) for function in functions(tree_of(path)) for node in ast.walk(function))
    }
    assert late == LATE


def private(name):
    return name.startswith("_") and not name.startswith("__") and name not in ("_fields", "_replace", "_asdict")


def taken(node):
    """What a node takes that is another module's or object's own."""
    if isinstance(node, ast.Attribute) and not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")):
        return [node.attr] if private(node.attr) else []
    if isinstance(node, ast.ImportFrom):
        return [a.name for a in node.names if private(a.name) and f"{node.module}.{a.name}" not in MODULES]
    return []


def test_nobody_calls_another_objects_underscore():
    paths = [*MODULES.values(), *sorted((ROOT / "tests" / "benchmarks").glob("*.py"))]
    assert not [(path.name, node.lineno, n) for path in paths for node in ast.walk(tree_of(path)) for n in taken(node)]
