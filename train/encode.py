"""The same as `unitok encode`: python train/encode.py --help"""

from unitok.cli.commands.encode import arguments, main

__all__ = ["arguments", "main"]

if __name__ == "__main__":
    main()
