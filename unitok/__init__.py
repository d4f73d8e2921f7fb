"""unitok: one decoder-only transformer that reads and writes text and images as one stream of tokens.

Shapes in this package: B batch, T tokens, D width, V vocabulary, N codes of a segment, H×W pixels, h×w cells.
"""

from importlib import import_module

_HOMES = {
    "Codec": "unitok.codec",
    "Codes": "unitok.document",
    "Cursor": "unitok.cursor",
    "Document": "unitok.document",
    "ImageTokenizer": "unitok.models.autoencoder",
    "Sampling": "unitok.sampling",
    "Segment": "unitok.document",
    "Transformer": "unitok.models.transformer",
    "UniTok": "unitok.bundle",
    "Vocabulary": "unitok.vocabulary",
    "pipeline": "unitok.pipelines",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str):
    """Import a public name when it is first used: `import unitok` alone takes no torch."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'unitok' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
