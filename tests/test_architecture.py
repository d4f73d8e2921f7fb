"""Imports go one way, heavy libraries stay in their rooms, and offsets are added in one file only."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = [
    ["unitok.document", "unitok.device", "unitok.atomic_files", "unitok.json_files", "unitok.pixels"],
    ["unitok.arguments"],
    ["unitok.models"],
    ["unitok.modalities"],
    ["unitok.vocabulary"],
    ["unitok.cursor"],
    ["unitok.layout"],
    ["unitok.codec"],
    ["unitok.sampling", "unitok.chat_template", "unitok.holes"],
    ["unitok.generation"],
    ["unitok.generate", "unitok.likelihood", "unitok.asking"],
    [
        "unitok.card",
        "unitok.pictures",
        "unitok.ranking",
        "unitok.editing",
        "unitok.terminal",
        "unitok.folder",
        "unitok.updates",
    ],
    ["unitok.bundle"],
    ["unitok.interop"],
    ["unitok.data", "unitok.chat", "unitok.pipelines"],
    ["unitok.page", "unitok.server"],
    ["unitok.evaluate"],
    ["unitok.training"],
]
ALLOWED_IN_MODELS = {
    "torch",
    "vector_quantize_pytorch",
    "einops",
    "jaxtyping",
    "safetensors",
    "unitok",
    "xformers",
}


def imports(path: Path) -> set[str]:
    """Modules that a file imports, also inside functions; type-checking blocks are left out."""
    tree = ast.parse(path.read_text())
    skipped = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.unparse(block.test)
        for node in ast.walk(block)
    }
    found = set()
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def layer(module: str) -> int:
    fits = [
        i
        for i, names in enumerate(LAYERS)
        if any(module == name or module.startswith(name + ".") for name in names)
    ]
    return fits[0] if fits else -1


FILES = sorted((ROOT / "unitok").rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_one_way(path):
    own = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for module in imports(path):
        if module.startswith("unitok.") and layer(own) >= 0:
            assert layer(module) <= layer(own), f"{own} imports {module}"


def test_every_module_has_a_room():
    for path in FILES:
        own = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        assert path.name == "__init__.py" or layer(own) >= 0, own


def offsets(tree: ast.AST) -> list[str]:
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
    for node in ast.walk(tree):
        sides = (node.left, node.right) if isinstance(node, ast.BinOp) else ()
        if isinstance(node, ast.AugAssign):
            sides = (node.value,)
        if sides and isinstance(node.op, ast.Add | ast.Sub):
            found += [ast.unparse(node) for side in sides if _of_vocabulary(side, said)]
        if isinstance(node, ast.Call) and _of_vocabulary(node, {"start"}):
            found.append(ast.unparse(node))
    return found


def _of_vocabulary(node: ast.AST, said: set[str]) -> bool:
    """Whether an expression is something that a vocabulary says, such as words.end(name)."""
    node = node.func if isinstance(node, ast.Call) else node
    if not isinstance(node, ast.Attribute):
        return False
    owner = ast.unparse(node.value).split(".")[-1]
    ends = node.attr in {"start", "stop"} and _of_vocabulary(node.value, said)
    return ends or (node.attr in said and owner in {"words", "vocabulary"})


def test_offsets_are_added_in_one_file_only():
    for path in FILES:
        if path.name != "vocabulary.py":
            assert not offsets(ast.parse(path.read_text(encoding="utf-8"))), path


@pytest.mark.parametrize(
    "line",
    ["self.vocabulary.start(name) + code", "token - words.start(name)", "words.begin('image') + 1",
     "i += words.end(name)", "words.block('image').start - 1", "words.pad + 2"],
)  # fmt: skip
def test_an_offset_is_noticed(line):
    assert offsets(ast.parse(line))


def test_lightning_is_imported_by_training_and_data_modules_only():
    for path in FILES:
        if any(module.split(".")[0] == "lightning" for module in imports(path)):
            room = path.relative_to(ROOT / "unitok")
            assert room.parts[0] == "training" or str(room) == "data/modules.py", room


def test_gradio_is_imported_by_the_page_only():
    for path in FILES:
        if any(module.split(".")[0] == "gradio" for module in imports(path)):
            assert path.relative_to(ROOT / "unitok").parts[0] == "page", path


def test_fastapi_is_imported_by_the_server_only():
    for path in FILES:
        if {module.split(".")[0] for module in imports(path)} & {"fastapi", "starlette", "uvicorn"}:
            assert path.relative_to(ROOT / "unitok").parts[0] == "server", path


def test_models_import_torch_and_the_quantizer_only():
    for path in sorted((ROOT / "unitok/models").glob("*.py")):
        allowed = ALLOWED_IN_MODELS | ({"xformers"} if path.name == "engines.py" else set())
        foreign = {m.split(".")[0] for m in imports(path)} - allowed - set(sys.stdlib_module_names)
        assert not foreign, f"{path.name} imports {foreign}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_module_says_what_it_is(path):
    text = path.read_text()
    assert not text.strip() or ast.get_docstring(ast.parse(text)), f"{path} has no docstring"


def test_importing_the_package_takes_no_torch():
    code = "import sys, unitok; assert 'torch' not in sys.modules and 'lightning' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


ROOMS = ("unitok", "train", "sample", "benchmarks")
MINE = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
OF_TEXT = {"read_text", "write_text"}


def text_of_any_encoding(path: Path) -> list[int]:
    """Lines of a file that open text without saying how it is encoded."""
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
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


@pytest.mark.parametrize("path", MINE, ids=lambda p: str(p.relative_to(ROOT)))
def test_texts_in_files_are_utf_8_everywhere(path):
    assert not text_of_any_encoding(path)


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
