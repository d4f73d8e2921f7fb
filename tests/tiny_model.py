"""A tiny whole model with random weights, for tests of everything that takes a model folder."""

import torch

from tests.tiny_codecs import byte_text
from unitok.api.unitok import UniTok
from unitok.generation.sampling import Sampling
from unitok.modalities.image import ImageModality
from unitok.modalities.vision import VisionConfig, open_vision
from unitok.models.image_tokenizer.image_tokenizer import ImageTokenizer, ImageTokenizerConfig
from unitok.models.image_tokenizer.patch import Patch
from unitok.models.image_tokenizer.quantizer import QuantizerConfig
from unitok.models.image_tokenizer.vector_quantizers import EMACodebook
from unitok.models.transformer import Transformer, TransformerConfig, TransformerSizes
from unitok.models.transformer_config import BlockVariant
from unitok.tokens.codec import Codec

SIXTEEN = EMACodebook(16)
BRIEF = {"text": Sampling(temperature=0.0, max_new_tokens=8)}
"""Settings of tests that need some text, since an untrained model writes as much as it may."""


def tiny_model(
    *,
    shape=(2, 3),
    max_side=4,
    max_length=200,
    quantizer: QuantizerConfig = SIXTEEN,
    positions="grid",
    more=(),
    vision: VisionConfig | None = None,
    variant: BlockVariant = BlockVariant(),  # noqa: B008 (it is frozen)
    **options,
) -> UniTok:
    """Images of 8 x 12 pixels (or of any size where `shape` is None), 4 pixels a cell, 16 codes; `more`
    modalities after them; shown images are seen by `vision`."""
    torch.manual_seed(0)
    tokenizer = ImageTokenizer(
        ImageTokenizerConfig(Patch(factor=4, channels=8, encoder_depth=1, decoder_depth=1), quantizer)
    )
    tokenizer.train()
    tokenizer.encode(torch.rand(8, 3, 16, 16) * 2 - 1)  # places the codes by k-means
    modalities = [byte_text(), ImageModality(tokenizer, shape=shape, max_side=max_side), *more]
    seen = None if vision is None else open_vision(vision, modalities)
    codec = Codec(modalities, positions=positions, vision=seen)
    sizes = {"width": 32, "layers": 2, "heads": 2, "kv_heads": 1, "head_width": 16, "hidden": 48}
    sizes |= {"max_length": max_length, "variant": variant}
    config = TransformerConfig(TransformerSizes(**sizes), codec.vocabulary.size)
    model = Transformer(config, codec.build_bridge)
    torch.nn.init.normal_(model.unembedding.weight, std=0.5)
    return UniTok(model, codec, **options)


def seed_of_text_and_image(model: UniTok, prompt: str, **options) -> int:
    """A seed with which a model goes on by a text and then an image."""
    for first in range(0, 192, 16):
        seeds = range(first, first + 16)
        for seed, document in zip(seeds, model.generate([prompt] * 16, seed=seeds, **options), strict=True):
            if [segment.modality for segment in document[1:3]] == ["text", "image"]:
                return seed
    raise AssertionError("no seed gives a text and then an image")
