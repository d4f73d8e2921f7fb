"""Decodes many requests to the end. Knows codes, not pixels or letters."""

from collections.abc import Sequence

from unitok.document import Codes
from unitok.generation.engine import Engine
from unitok.generation.requests import Request
from unitok.models.transformer import Transformer
from unitok.tokens.codec import Codec


def generate(
    model: Transformer,
    codec: Codec,
    requests: Sequence[Request],
    *,
    batch_size: int = 32,
    speculate: int = 0,
    compile: bool = False,
) -> list[list[Codes]]:
    """The prompts of the requests with the segments that the model wrote after them.

    Args:
        batch_size: rows decoded at once; when one is done, the next enters.
        speculate: codes of an image that are guessed ahead; changes the speed, not the result.
        compile: steps run by compiled code, which takes half a minute to make; changes the speed and the
            rounding of sums.

    Raises:
        ValueError: an unknown target, or a prompt that leaves no room within the model's `max_length`.
    """
    engine = Engine(model, codec, rows=batch_size, speculate=speculate, compile=compile)
    for request in requests:
        engine.submit(request)
    documents = [list(request.prompt) for request in requests]
    for event in engine.run():
        if event.segment is not None:
            documents[event.row].append(event.segment)
    return documents
