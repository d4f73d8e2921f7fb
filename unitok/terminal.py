"""What all command lines share: one clear line for an error that the user can mend. Knows no command."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps


@contextmanager
def plain_errors(program: str) -> Iterator[None]:
    """Turn errors about files and values into one line on stderr and exit code 2, and Ctrl-C into exit code
    130."""
    try:
        yield
    except (ValueError, OSError) as error:
        message = " ".join(str(error).split())
        sys.exit(_fail(f"{program}: error: {message}", 2))
    except KeyboardInterrupt:
        sys.exit(_fail(f"{program}: interrupted", 130))


def _fail(line: str, code: int) -> int:
    print(line, file=sys.stderr)
    return code


def command(program: str) -> Callable[[Callable], Callable]:
    """Decorate a script's `main` with `plain_errors`."""

    def decorate(main: Callable) -> Callable:
        @wraps(main)
        def run(args: list[str] | None = None):
            with plain_errors(program):
                return main(args)

        return run

    return decorate
