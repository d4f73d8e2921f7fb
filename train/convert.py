"""The same as `unitok convert`: python train/convert.py --help"""

from unitok.cli.commands.convert import arguments, main

__all__ = ["arguments", "main"]

if __name__ == "__main__":
    main()
