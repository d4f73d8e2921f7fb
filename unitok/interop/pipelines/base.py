"""What all pipelines share: a model, where it is, settings by other names. Knows public calls alone.

The methods of `UniTok` have shorter names; pipelines are for code that was written for the other libraries.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from unitok.api.arguments import describe
from unitok.api.request_builder import SEEDS
from unitok.api.unitok import UniTok
from unitok.foreign_names import missing_attribute, unknown_arguments
from unitok.generation.sampling import Sampling

Generators = torch.Generator | Sequence[torch.Generator] | None


@dataclass(frozen=True)
class Pipeline:
    """A model that is called as another library calls it."""

    model: UniTok

    @property
    def device(self) -> torch.device:
        """The device of the model's weights."""
        return self.model.device

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the transformer's weights."""
        return self.model.dtype

    def to(self, *targets: Any, **named: Any) -> "Pipeline":
        """Move the model, see DocumentModel.to; returns the pipeline itself."""
        self.model.to(*targets, **named)
        return self

    def __getattr__(self, name: str) -> Any:
        raise missing_attribute(self, name)


def generation_settings(generate_kwargs: Mapping[str, Any] | None, settings: Mapping[str, Any]) -> dict:
    """Merge settings that are given as arguments with those in `generate_kwargs`; None is absent.

    Raises ValueError for one that is no field of Sampling, nor do_sample.
    """
    if not isinstance(generate_kwargs, Mapping | None):
        raise ValueError(f"generate_kwargs must be a dict, got {describe(generate_kwargs)}")
    given = {**(generate_kwargs or {}), **settings}
    merged = {name: value for name, value in given.items() if value is not None}
    known = (*Sampling.__dataclass_fields__, "do_sample", "streamer")
    if unknown := merged.keys() - set(known):
        raise unknown_arguments(unknown, known=known)
    return merged


def seeds_of(generator: Generators, count: int) -> list[int]:
    """Draw a seed for each image; generators advance, as they do in diffusers."""
    if not isinstance(generator, torch.Generator | Sequence | None) or isinstance(generator, str):
        raise ValueError(f"generator must be a torch.Generator or a list of them, got {describe(generator)}")
    if isinstance(generator, Sequence):
        if len(generator) != count:
            raise ValueError(
                f"generator must be one or a list of {count}, one per image, got {len(generator)}"
            )
        return [seed for one in generator for seed in seeds_of(one, 1)]
    device = generator.device if generator is not None else "cpu"
    return torch.randint(SEEDS, (count,), generator=generator, device=device).tolist()
