"""sample/serve.py in a process of its own, which logs every other host that it contacts.

python -m tests.server.child LOG [options of sample/serve.py]
"""

import socket
import sys

from sample import serve

HERE = (None, "", "127.0.0.1", "::1", "localhost")


def note(log: str, event: str, arguments: tuple) -> None:
    """Log a connection to another machine."""
    if event == "socket.getaddrinfo":
        host = arguments[0]
    elif event == "socket.connect" and arguments[0].family in (socket.AF_INET, socket.AF_INET6):
        host = arguments[1][0]
    else:
        return
    if host not in HERE:
        with open(log, "a") as file:
            print(event, host, file=file)


if __name__ == "__main__":
    log = sys.argv[1]
    sys.addaudithook(lambda event, arguments: note(log, event, arguments) if "socket" in event else None)
    serve.main(sys.argv[2:])
