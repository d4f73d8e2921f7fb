"""The same as `unitok demo`: python train/demo.py --help"""

from unitok.cli.commands.demo import arguments, main

__all__ = ["arguments", "main"]

if __name__ == "__main__":
    main()
