"""Completes the sizes of a transformer by what its data determine, and refuses sizes that do not fit them.
Knows a codec, no weights."""

from unitok.data.tasks import Answers
from unitok.models.attention_backends import Backend
from unitok.models.transformer_config import TransformerConfig, TransformerSizes
from unitok.tokens.codec import Codec


def config_for(
    sizes: TransformerSizes, codec: Codec, *, answers: Answers, attention: Backend
) -> TransformerConfig:
    """Adds the vocabulary's size and, where attention depends on them, the ids of images.

    Args:
        sizes: those that do not depend on the data.
        codec: of the data.
        answers: how many segments of a document are learned, see TaskConfig.
        attention: the backend of packed attention.

    Raises:
        ValueError: tokens of the data cannot see each other as the sizes have it; it names the setting.
    """
    refuse_sight(sizes, codec, answers=answers, attention=attention)
    images = None
    if sizes.latest_image:
        refuse_latest_image(codec, attention=attention)
        ids = codec.vocabulary.ids("image")
        images = (ids.start, ids.stop)
    return TransformerConfig(sizes, vocab_size=codec.vocabulary.size, images=images)


def refuse_sight(sizes: TransformerSizes, codec: Codec, *, answers: Answers, attention: Backend) -> None:
    """Raises ValueError where prefixes or images cannot be seen as the block has it."""
    variant, one_place = sizes.variant, codec.vision is not None and codec.vision.config.one_place
    if variant.bidirectional == "prefix" and answers != "one":
        raise ValueError(f"bidirectional=prefix needs data.task.answers=one, got {answers}")
    if variant.bidirectional != "none" and attention == "xformers":
        raise ValueError(
            f"bidirectional={variant.bidirectional} needs model.compute.attention=sdpa or flex, got xformers"
        )
    if variant.bidirectional == "images" and codec.vision is None:
        raise ValueError("bidirectional=images needs images that are seen: data.codec.vision, got none")
    if (rank := variant.visual_rank) and codec.vision is None:
        raise ValueError(f"visual_rank={rank} needs images that are seen: data.codec.vision, got none")
    if bool(variant.cross_every) != one_place:
        raise ValueError(
            "sizes.variant.cross_every and data.codec.vision.one_place must be given together, got "
            f"{variant.cross_every} and {str(one_place).lower()}"
        )


def refuse_latest_image(codec: Codec, *, attention: Backend) -> None:
    """Raises ValueError where text cannot attend to the most recent image alone."""
    if "image" not in codec.vocabulary.modalities:
        modalities = ", ".join(codec.vocabulary.modalities)
        raise ValueError(f"latest_image needs data with images, got data of {modalities}")
    if attention != "sdpa":
        raise ValueError(f"latest_image needs model.compute.attention=sdpa, got {attention}")
    if codec.vision is not None:
        raise ValueError("latest_image needs images as codes: data.codec.vision must be null")
