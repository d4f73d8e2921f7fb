"""The same as `unitok serve`: python sample/serve.py --help"""

from unitok.cli.commands.serve import arguments, main

__all__ = ["arguments", "main"]

if __name__ == "__main__":
    main()
