"""The same as `unitok train-model`: python train/transformer.py --help"""

from unitok.cli.commands.train_model import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
