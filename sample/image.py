"""The same as `unitok draw`: python sample/image.py --help"""

from unitok.cli.commands.draw import arguments, main

__all__ = ["arguments", "main"]

if __name__ == "__main__":
    main()
