"""Decodes many requests to the end. Knows codes, not pixels or letters."""

from collections.abc import Callable, Sequence

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
    on_step: Callable[[int], object] | None = None,
) -> list[list[Codes]]:
    """Returns the prompt of each request, followed by the generated segments.

    Args:
        model, codec: the model that generates.
        requests: documents to continue.
        batch_size: documents decoded at once; when one is done, the next one joins.
        speculate: image codes that are guessed ahead; affects speed, not the result.
        compile: use compiled decoding steps, which take half a minute to compile; affects speed, and the
            rounding of sums.
        on_step: called with the number of each step after it; an error that it raises ends the decoding.

    Raises:
        ValueError: a target is unknown, or a prompt leaves no space within the model's `max_length`.
    """
    engine = Engine(model, codec, batch_size=batch_size, speculate=speculate, compile=compile)
    for request in requests:
        engine.submit(request)
    documents = [list(request.prompt) for request in requests]
    step = 0
    while not engine.idle:
        for event in engine.step():
            if event.segment is not None:
                documents[event.number].append(event.segment)
        if on_step is not None:
            on_step(step)
        step += 1
    return documents
