"""`unitok configs`: lists and copies the configs inside the package; finds them for every
command. Knows files, no setting."""

from collections.abc import Sequence
from pathlib import Path
from shutil import copyfile

from unitok.console import Parser, command


def folder() -> Path:
    """The folder of configs: inside an installed package, else beside it in the repository.

    Raises:
        FileNotFoundError: neither exists.
    """
    package = Path(__file__).parents[1]
    for place in (package / "configs", package.parent / "configs"):
        if (place / "demo").is_dir():
            return place
    raise FileNotFoundError(f"{package / 'configs'}: not found; the package was built without its configs")


def locate(path: str | Path) -> str:
    """A config's path: the packaged one if it begins with `configs/` and does not exist here."""
    first, *rest = Path(path).parts or ("",)
    if first != "configs" or Path(path).exists():
        return str(path)
    packaged = folder().joinpath(*rest)
    return str(packaged if packaged.exists() else path)


def locate_all(args: Sequence[str]) -> list[str]:
    """A command line whose configs are located, also those written `--config=PATH`."""
    words = (word.rpartition("=") for word in args)
    return [name + equals + locate(value) for name, equals, value in words]


def arguments() -> Parser:
    """Build the parser of the command line."""
    parser = Parser(
        prog="unitok configs",
        description="List the packaged configs; with --copy, write them into a folder.",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="only those whose path contains NAME")
    parser.add_argument("--copy", type=Path, metavar="DIR", help="copy them into DIR; files there are kept")
    return parser


@command("unitok configs")
def main(args: list[str] | None = None) -> None:
    """List or copy the configs."""
    options = arguments().parse_args(args)
    root = folder()
    paths = [path.relative_to(root) for path in sorted(root.rglob("*.yaml"))]
    chosen = [path for path in paths if not options.names or any(name in str(path) for name in options.names)]
    if not chosen:
        raise ValueError(f"NAME must be part of a config's path, got {' '.join(options.names)}")
    if options.copy is None:
        width = max(len(str(path)) for path in chosen) + 2
        for path in chosen:
            print(f"{path!s:<{width}}{_summary(root / path)}".rstrip())
        print(f"\nunitok configs --copy configs writes them into the folder configs; they are in {root}")
        return
    for path in chosen:
        target = options.copy / path
        if target.exists():
            if target.read_bytes() != (root / path).read_bytes():
                raise FileExistsError(f"{target}: exists and differs; choose another folder")
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        copyfile(root / path, target)
    print(f"{options.copy}: {len(chosen)} configs")


def _summary(path: Path) -> str:
    """The first comment line after the command."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("# ")]
    return lines[1].removeprefix("# ") if len(lines) > 1 else ""
