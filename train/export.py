"""The same as `unitok export`: python train/export.py --help"""

from unitok.cli.commands.export import arguments, main

__all__ = ["arguments", "main"]

if __name__ == "__main__":
    main()
