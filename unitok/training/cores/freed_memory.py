"""Memory that a training frees is kept for its next step. Knows no tensors."""

import ctypes

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
"""Numbers of mallopt's parameters in glibc's malloc.h."""


def keep_freed_memory() -> None:
    """Have the C library keep what is freed; nothing happens where it has no `mallopt`.

    By default it gives large blocks back to the system, so that each step asks for thousands of new pages,
    which the system zeroes first.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # other C libraries, and other systems
        return
    mallopt(M_MMAP_MAX, 0)
    mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
