"""Imports go one way, heavy libraries stay in their rooms, and offsets are added in one file only."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = [
    ["document", "device", "atomic_files", "json_files", "pixels", "console", "renamed", "foreign_names"],
    ["chat_template"],
    ["data.files.bounded_file"],
    ["data.files.images"],
    ["models"],
    ["modalities"],
    ["tokens"],
    ["generation"],
    ["api"],
    ["data.faults", "data.keyed_random"],
    ["data.files"],
    ["data.tasks"],
    ["data.source"],
    ["data.readers"],
    ["data.codes"],
    ["data.mixture"],
    ["data.codes.mixture_codes", "data.transforms"],
    ["data.batches"],
    ["data"],
    ["worlds"],
    ["interop", "page", "server"],
    ["evaluate"],
    ["training"],
    ["cli"],
    ["__main__"],
]
"""Rooms from the bottom up: a room imports those above it in this list, never one beside or below it."""
MOST_FILES, MOST_ROOMS = 15, 22
MOST_PARAMETERS = 12
ALLOWED_IN_MODELS = {
    "torch",
    "vector_quantize_pytorch",
    "einops",
    "jaxtyping",
    "safetensors",
    "unitok",
    "xformers",
}


@cache
def tree(path: Path) -> ast.Module:
    """A file's syntax tree."""
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """All nodes of a file's syntax tree."""
    return tuple(ast.walk(tree(path)))


@pytest.fixture(scope="module", autouse=True)
def _forgets():
    """Keep the trees no longer than these tests need them: they are large."""
    yield
    for kept in (tree, nodes, classes):
        kept.cache_clear()


@cache
def imports(path: Path) -> set[str]:
    """Modules that a file imports, also inside functions and for type checks alone."""
    found = set()
    for node in nodes(path):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= names & MODULES.keys() or {node.module}
    return found


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


FILES = sorted((ROOT / "unitok").rglob("*.py"))
MODULES = {name_of(path): path for path in FILES}


def own(module: str) -> set[str]:
    """Modules of the package that a module imports."""
    found = imports(MODULES[module]) & MODULES.keys()
    return {other for other in found if MODULES[other].name != "__init__.py"}


def room(module: str) -> tuple[int, str]:
    """The number of the layer, and the longest name in LAYERS that a module's name begins with."""
    fits = [
        (len(name), number, name)
        for number, names in enumerate(LAYERS)
        for name in names
        if f"{module}.".startswith(f"unitok.{name}.")
    ]
    _, number, name = max(fits, default=(0, -1, ""))
    return number, name


def is_below(module: str, other: str) -> bool:
    """Whether a module is in a lower room than another, or in the same one."""
    (layer, theirs), (above, name) = room(module), room(other)
    return theirs == name or layer < above


def test_imports_go_one_way():
    modules = [name for name, path in MODULES.items() if path.name != "__init__.py"]
    assert [module for module in modules if room(module)[0] < 0] == [], "they have no layer"
    pairs = [(module, other) for module in modules for other in own(module)]
    assert len(pairs) > len(modules)
    assert [f"{module} imports {other}" for module, other in pairs if not is_below(other, module)] == []


def test_no_file_imports_itself_through_others():
    def reached(module: str, seen: set[str]) -> set[str]:
        for other in own(module) - seen:
            seen.add(other)
            reached(other, seen)
        return seen

    assert [module for module in MODULES if module in reached(module, set())] == []


def test_folders_stay_small_enough_to_read():
    folders = {path.parent for path in FILES}
    counts = {folder: len([p for p in folder.glob("*.py") if p.name != "__init__.py"]) for folder in folders}
    assert {str(folder): count for folder, count in counts.items() if count > MOST_FILES} == {}
    top = [
        path
        for path in (ROOT / "unitok").iterdir()
        if path.name not in ("__init__.py", "__main__.py", "__pycache__")
    ]
    assert len(top) <= MOST_ROOMS


@cache
def classes() -> dict[tuple[str, str], ast.ClassDef]:
    """The classes of the package by their module and name."""
    return {
        (module, node.name): node
        for module, path in MODULES.items()
        for node in tree(path).body
        if isinstance(node, ast.ClassDef)
    }


def constructor(module: str, node: ast.ClassDef) -> list[str]:
    """The parameters of a class: of its own or inherited `__init__`, or its fields and those of its bases."""
    for method in node.body:
        if isinstance(method, ast.FunctionDef) and method.name == "__init__":
            arguments = method.args
            return [a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)][1:]
    bases = [base.id for base in node.bases if isinstance(base, ast.Name)]
    inherited = [name for base in bases for name in _inherited(module, base)]
    values = [field for field in node.body if isinstance(field, ast.AnnAssign)]
    constants = [field for field in values if "ClassVar" in ast.unparse(field.annotation)]
    return list(dict.fromkeys([*inherited, *(field.target.id for field in values if field not in constants)]))


def _inherited(module: str, base: str) -> list[str]:
    places = [module, *sorted(own(module))]
    owner = next((place for place in places if (place, base) in classes()), None)
    return [] if owner is None else constructor(owner, classes()[owner, base])


def test_no_constructor_has_too_many_parameters():
    """Groups of settings are frozen dataclasses. Bodies of requests have the fields of OpenAI's protocol."""
    counts = {
        f"{module}.{name}": len(constructor(module, node))
        for (module, name), node in classes().items()
        if not module.endswith("schemas")
    }
    assert {name: count for name, count in counts.items() if count > MOST_PARAMETERS} == {}
    assert counts["unitok.training.transformer.TransformerTraining"] == 12
    assert counts["unitok.models.transformer_config.TransformerConfig"] == 3


@pytest.mark.parametrize("folder", sorted({path.parent for path in FILES}), ids=lambda p: p.name)
def test_every_folder_lists_its_files_in_reading_order(folder):
    """One line each in the docstring of its __init__.py: the name, then what is in it."""
    doc = ast.get_docstring(tree(folder / "__init__.py"), clean=False)
    listed = re.findall(r"^ *(\w+)/?  +\S", doc, re.MULTILINE)
    there = [path.stem for path in folder.glob("*.py") if path.name != "__init__.py"]
    there += [path.parent.name for path in folder.glob("*/__init__.py")]
    assert sorted(listed) == sorted(there), f"{folder}/__init__.py"


TERMS = [line.split("\t") for line in (ROOT / "tests/terms.tsv").read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("term, path", TERMS, ids=[term for term, _ in TERMS])
def test_the_term_that_people_search_for_is_in_the_first_lines(term, path):
    doc = ast.get_docstring(tree(ROOT / path))
    assert term.lower() in " ".join(doc.split("\n\n")[0].split()).lower()


def offsets(inside: Iterable[ast.AST]) -> list[str]:
    """Sums and differences of what a vocabulary says, and first ids that are asked for."""
    said = {
        "start",
        "begin",
        "end",
        "codes",
        "block",
        "ids",
        "to_range",
        "pad",
        "document_begin",
        "document_end",
    }
    found = []
    for node in inside:
        sides = (node.left, node.right) if isinstance(node, ast.BinOp) else ()
        if isinstance(node, ast.AugAssign):
            sides = (node.value,)
        if sides and isinstance(node.op, ast.Add | ast.Sub):
            found += [ast.unparse(node) for side in sides if _of_vocabulary(side, said)]
        if isinstance(node, ast.Call) and _of_vocabulary(node, {"start"}):
            found.append(ast.unparse(node))
    return found


def _of_vocabulary(node: ast.AST, said: set[str]) -> bool:
    """Whether an expression is something that a vocabulary says, such as vocabulary.end(name)."""
    node = node.func if isinstance(node, ast.Call) else node
    if not isinstance(node, ast.Attribute):
        return False
    owner = ast.unparse(node.value).split(".")[-1]
    ends = node.attr in {"start", "stop"} and _of_vocabulary(node.value, said)
    return ends or (node.attr in said and owner == "vocabulary")


def test_offsets_are_added_in_one_file_only():
    for path in FILES:
        if path.name != "vocabulary.py":
            assert not offsets(nodes(path)), path


@pytest.mark.parametrize(
    "line",
    [
        "self.vocabulary.start(name) + code", "token - vocabulary.start(name)",
        "vocabulary.begin('image') + 1", "i += vocabulary.end(name)",
        "vocabulary.block('image').start - 1", "codec.vocabulary.pad + 2",
    ],
)  # fmt: skip
def test_an_offset_is_noticed(line):
    assert offsets(ast.walk(ast.parse(line)))


DATA_MODULES = ("data/image_data.py", "data/document_data.py")


def test_lightning_is_imported_by_training_and_data_modules_only():
    for path in FILES:
        if any(module.split(".")[0] == "lightning" for module in imports(path)):
            place = path.relative_to(ROOT / "unitok")
            assert place.parts[0] in ("training", "cli") or str(place) in DATA_MODULES, place


def test_gradio_is_imported_by_the_page_only():
    for path in FILES:
        if any(module.split(".")[0] == "gradio" for module in imports(path)):
            assert path.relative_to(ROOT / "unitok").parts[0] == "page", path


def test_fastapi_is_imported_by_the_server_only():
    for path in FILES:
        if {module.split(".")[0] for module in imports(path)} & {"fastapi", "starlette", "uvicorn"}:
            assert path.relative_to(ROOT / "unitok").parts[0] == "server", path


def test_models_import_torch_and_the_quantizer_only():
    for path in sorted((ROOT / "unitok/models").rglob("*.py")):
        allowed = ALLOWED_IN_MODELS | ({"xformers"} if path.name == "attention_backends.py" else set())
        foreign = {m.split(".")[0] for m in imports(path)} - allowed - set(sys.stdlib_module_names)
        assert not foreign, f"{path.name} imports {foreign}"


def test_every_module_says_what_it_is():
    assert [path for path in FILES if tree(path).body and not ast.get_docstring(tree(path))] == []


def test_importing_the_package_takes_no_torch():
    code = "import sys, unitok; unitok.__version__; assert not {'torch', 'lightning'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


PARTS = ("unitok", "train", "sample", "benchmarks")
MINE = sorted(path for part in PARTS for path in (ROOT / part).rglob("*.py"))
OF_TEXT = {"read_text", "write_text"}


def text_of_any_encoding(path: Path) -> list[int]:
    """Lines of a file that open text without saying how it is encoded."""
    calls = [node for node in nodes(path) if isinstance(node, ast.Call)]
    return [call.lineno for call in calls if _opens_text(call) and not _says(call, "encoding")]


def _opens_text(call: ast.Call) -> bool:
    method = isinstance(call.func, ast.Attribute)
    name = call.func.attr if method else getattr(call.func, "id", "")
    if name in OF_TEXT:
        return method  # a plain write_text is of atomic_files
    if name != "open":
        return False
    given = [*call.args[0 if method else 1 :][:1], *(k.value for k in call.keywords if k.arg == "mode")]
    modes = [mode.value for mode in given if isinstance(mode, ast.Constant) and isinstance(mode.value, str)]
    of_a_file = not method or not call.args or bool(modes)  # others have an open() of their own
    return of_a_file and not any("b" in mode for mode in modes)


def _says(call: ast.Call, name: str) -> bool:
    return any(keyword.arg == name for keyword in call.keywords)


def test_texts_in_files_are_utf_8_everywhere():
    found = {str(path.relative_to(ROOT)): text_of_any_encoding(path) for path in MINE}
    assert {path: lines for path, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    "line, found",
    [
        ("p.read_text()", True), ("p.write_text(x)", True), ("open(p)", True), ("open(p, 'w')", True),
        ("p.open()", True), ("p.open('a')", True), ("open(p, 'rb')", False), ("p.open('rb')", False),
        ("p.read_text(encoding='utf-8')", False), ("Image.open(p)", False), ("write_text(p, x)", False),
    ],
)  # fmt: skip
def test_texts_of_any_encoding_are_found(tmp_path, line, found):
    (tmp_path / "m.py").write_text(line)
    assert bool(text_of_any_encoding(tmp_path / "m.py")) == found
