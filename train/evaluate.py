"""The same as `unitok evaluate`: python train/evaluate.py --help"""

from unitok.cli.commands.evaluate import arguments, main

__all__ = ["arguments", "main"]

if __name__ == "__main__":
    main()
