"""The tests mirror the package: a test's name says which module it tests; modules are tested in their place.

`tests/a/test_b.py` and `tests/a/test_b_aspect.py` test the module or folder `unitok/a/b`. A module without a
test file of its own is imported by a test of its folder or of one above, or is a part: a module there that is
tested so imports it.
"""

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
MODULES = sorted(
    path.relative_to(ROOT / "unitok")
    for path in (ROOT / "unitok").rglob("*.py")
    if path.name not in ("__init__.py", "__main__.py")
)
TESTS = sorted(path.relative_to(ROOT / "tests") for path in (ROOT / "tests").rglob("test_*.py"))
OF_NO_MODULE = {
    "test_architecture.py",
    "test_circle.py",
    "test_configs.py",
    "test_docs.py",
    "test_golden.py",
    "test_mirror.py",
    "test_typecheck.py",
    "sample/test_scripts.py",
}
"""Of the repository as a whole, of its scripts, and of the type checker of the tests."""


def of_module(test: Path, module: Path) -> bool:
    """Whether a test's name and folder are those of a module or folder."""
    return test.parent == module.parent and f"{test.stem}_".startswith(f"test_{module.stem}_")


@cache
def imported(root: str, file: Path) -> set[str]:
    """Modules that a file imports or names: a class path, or "draw" and ".draw" in a registry beside them."""
    names, here = set(), ".".join(["unitok", *file.parent.parts])
    for node in ast.walk(ast.parse((ROOT / root / file).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names |= {node.value.rpartition(".")[0], f"{here}.{node.value.removeprefix('.')}"}
    return names


FOLDERS = sorted({folder for module in MODULES for folder in module.parents} - {Path()})


@cache
def dotted(module: Path) -> str:
    return ".".join(["unitok", *module.with_suffix("").parts])


def is_beside(place: Path, module: Path) -> bool:
    """Whether a file is in or below a module's folder, or in a folder above it but the root."""
    return module.parent in place.parents or (place.parent in module.parents and place.parent != Path())


def modules_in_place() -> set[Path]:
    """Modules with a test of their name, or imported by a test beside them, and the parts of these."""
    tested = {
        module
        for module in MODULES
        for test in TESTS
        if of_module(test, module) or (dotted(module) in imported("tests", test) and is_beside(test, module))
    }
    new = tested
    while new:
        new = {
            part
            for part in set(MODULES) - tested
            for user in new
            if dotted(part) in imported("unitok", user) and is_beside(user, part)
        }
        tested |= new
    return tested


def test_a_test_is_where_its_module_is():
    places = [*MODULES, *FOLDERS]
    lost = {str(test) for test in TESTS if not any(of_module(test, place) for place in places)}
    assert lost == OF_NO_MODULE


def test_a_module_is_tested_in_its_place():
    assert set(MODULES) - modules_in_place() == set()
