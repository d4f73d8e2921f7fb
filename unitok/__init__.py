"""unitok: one decoder-only transformer that reads and writes text and images as one stream of tokens.

Shapes in this package: B batch, T tokens, D width, V vocabulary, N codes of a segment, H×W pixels, h×w cells.

In reading order:

    document       Documents as tuples of segments: raw content, its codes, and the tokens of a whole document
    modalities/    From content to codes and back: text, images, boxes, points
    tokens/        From segments to ids and back: vocabulary, grammar, codec
    models/        The transformer, and image tokenizers
    generation/    From a prompt to new segments: engine, sampling, likelihood
    api/           The public API: UniTok and its folder
    data/          From files to batches
    worlds/        Rendered worlds with their judges
    training/      Training of both models
    evaluate/      Suites, benchmarks, reports
    interop/       Weights of other projects, in and out
    server/        An OpenAI-compatible server
    page/          The web page
    cli/           Command lines
    __main__       `python -m unitok`, the same as the command `unitok`
    chat_template  Chat templates: turns of a conversation to segments of a document
    atomic_files   Atomic writes: a file or folder is written beside its place, then renamed
    json_files     Reads JSON files and builds dataclasses from them; errors name the file and key
    pixels         Converts images of any mode to RGB, and masks to 0 or 255
    device         Chooses device and precision, and tells whether torch.compile works there
    renamed        Class paths of earlier versions, and the error that names today's
    foreign_names  Names of transformers and diffusers without a counterpart, and what to use instead
    console        Error messages and printable text, shared by all command lines
"""

from importlib import import_module

__version__ = "0.1.0"
_HOMES = {
    "Codec": "unitok.tokens.codec",
    "Codes": "unitok.document",
    "Cursor": "unitok.tokens.cursor",
    "Document": "unitok.document",
    "ImageTokenizer": "unitok.models.image_tokenizer.image_tokenizer",
    "Sampling": "unitok.generation.sampling",
    "Segment": "unitok.document",
    "Transformer": "unitok.models.transformer",
    "UniTok": "unitok.api.unitok",
    "Vocabulary": "unitok.tokens.vocabulary",
    "pipeline": "unitok.interop.pipelines.pipeline",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str):
    """Import a public name when it is first used: `import unitok` alone takes no torch."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'unitok' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
