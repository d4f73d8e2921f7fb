"""The same as `unitok caption`: python sample/caption.py --help"""

from unitok.cli.commands.caption import arguments, main

__all__ = ["arguments", "main"]

if __name__ == "__main__":
    main()
