"""The same as `unitok edit`: python sample/edit.py --help"""

from unitok.cli.commands.edit import arguments, main

__all__ = ["arguments", "main"]

if __name__ == "__main__":
    main()
