"""The same as `unitok chat`: python sample/chat.py --help"""

from unitok.cli.commands.chat import arguments, main

__all__ = ["arguments", "main"]

if __name__ == "__main__":
    main()
