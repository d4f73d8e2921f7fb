"""The same as `unitok rank`: python sample/rank.py --help"""

from unitok.cli.commands.rank import arguments, main

__all__ = ["arguments", "main"]

if __name__ == "__main__":
    main()
