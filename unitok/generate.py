"""Continues documents, many at once or shown as they are written. Knows codes, not pixels or letters.

Both `generate` and `stream` drain one engine, so that what is shown is what is returned.
"""

from collections.abc import Iterator, Mapping, Sequence

from unitok.codec import Codec
from unitok.document import Codes
from unitok.generation.engine import Engine
from unitok.generation.options import Options
from unitok.generation.requests import Event, Request, Shapes
from unitok.models.transformer import Transformer
from unitok.sampling import Sampling

DEFAULT = Sampling()


def stream(
    model: Transformer,
    codec: Codec,
    prompts: Sequence[Sequence[Codes]],
    *,
    target: str | None = None,
    sampling: Mapping[str, Sampling] | Sampling = DEFAULT,
    seed: Sequence[int] | int = 0,
    copies: Sequence[int] | None = None,
    shapes: Shapes | None = None,
    fixed: Sequence[Codes] | None = None,
    options: Sequence[Codes] = (),
    negatives: Sequence[Sequence[Codes]] | None = None,
    batch_size: int = 32,
    max_segments: int = 8,
    speculate: int = 0,
    compile: bool = False,
) -> Iterator[Event]:
    """Continue every prompt by one segment of modality `target`, or without one until the model ends it.

    Args:
        prompts: the segments that are known, one list a document.
        target: modality to write; None lets the model choose, for at most `max_segments` segments.
        sampling: for all modalities, or one each.
        seed: one for all prompts, or one each.
        copies: which copy of its prompt each row is (0, 1, …), so that equal prompts get different noise.
        shapes: forced (rows, columns) of modalities that have a choice.
        fixed: what is known of each new segment of `target`: its codes, -1 where the model writes them.
        options: complete segments of `target` of which each new one is one; any where there are none.
        negatives: what guidance leads away from, one list a document, in place of the empty prompt.
        batch_size: rows decoded at once; when one is done, the next enters.
        speculate: codes of an image that are guessed ahead; changes the speed, not the result.
        compile: steps run by compiled code, which takes half a minute to make; changes the speed and the
            rounding of sums.

    Raises:
        ValueError: an unknown target, or a prompt that leaves no room within the model's `max_length`.
    """
    count = len(prompts)
    per_modality = sampling if isinstance(sampling, Mapping) else dict.fromkeys(codec.modalities, sampling)
    seeds = [seed] * count if isinstance(seed, int) else list(seed)
    copies = [0] * count if copies is None else list(copies)
    if not len(seeds) == len(copies) == count:
        raise ValueError(f"{count} prompts need as many seeds and copies, not {len(seeds)} and {len(copies)}")
    if fixed is not None and (len(fixed) != count or {codes.modality for codes in fixed} != {target}):
        raise ValueError(f"{count} prompts need as many partly known segments of their target {target!r}")
    if negatives is not None and len(negatives) != count:
        raise ValueError(f"{count} prompts need as many negative ones, not {len(negatives)}")
    among = Options(codec, options) if options else None
    engine = Engine(model, codec, rows=batch_size, speculate=speculate, compile=compile)
    for i, prompt in enumerate(prompts):
        request = Request(
            prompt=prompt,
            target=target,
            sampling=per_modality,
            shapes=shapes,
            seed=seeds[i],
            copy=copies[i],
            fixed=fixed[i] if fixed else None,
            options=among,
            negative=negatives[i] if negatives else (),
            max_segments=max_segments,
        )
        engine.submit(request)
    yield from engine.run()


def generate(
    model: Transformer, codec: Codec, prompts: Sequence[Sequence[Codes]], **options
) -> list[list[Codes]]:
    """The prompts with the segments that the model wrote after them; options as of `stream`."""
    documents = [list(prompt) for prompt in prompts]
    for event in stream(model, codec, prompts, **options):
        if event.segment is not None:
            documents[event.row].append(event.segment)
    return documents
