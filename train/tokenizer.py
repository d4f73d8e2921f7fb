"""The same as `unitok train-tokenizer`: python train/tokenizer.py --help"""

from unitok.cli.commands.train_tokenizer import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
