"""The same as `unitok page`: python sample/demo.py --help"""

from unitok.cli.commands.page import arguments, main

__all__ = ["arguments", "main"]

if __name__ == "__main__":
    main()
