"""Settings of both losses: the transformer's, by modality, and the image tokenizer's. Knows no model."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Literal

from unitok.models.image_tokenizer.loss_terms import Term
from unitok.training.targets import COMPETITIONS, Head


@dataclass(frozen=True)
class LossConfig:
    """Settings of a transformer's loss.

    Args:
        weights: of a modality's tokens in the loss, such as {image: 2}; 1 where absent.
        token_dropout: share of a modality's input ids (never targets) hidden in segments that follow another,
            such as {text: 0.3}, so that the model leans on that segment rather than on the previous words. A
            document's first segment stays whole: a prompt with holes would describe other images.
        z_loss: coefficient of logsumexp² of the logits.
        head: "legal": a target competes with the ids that are legal at its position; "full": with all ids,
            and forced ids are learned too, for inference engines without constrained decoding.
    """

    weights: dict[str, float] = field(default_factory=dict)
    token_dropout: dict[str, float] = field(default_factory=dict)
    z_loss: float = 1e-4
    head: Head = "legal"

    def __post_init__(self):
        if self.head not in COMPETITIONS:
            raise ValueError(f"head must be one of {', '.join(COMPETITIONS)}, got {self.head!r}")
        for name, weight in self.weights.items():
            if weight < 0:
                raise ValueError(f"weights.{name} must be at least 0, got {weight}")
        for name, share in self.token_dropout.items():
            if not 0 <= share <= 1:
                raise ValueError(f"token_dropout.{name} must be in [0, 1], got {share}")

    def check_modalities(self, known: Collection[str]) -> None:
        """Raises ValueError for a weight or a share of a modality that the data lack."""
        for name in (*self.weights, *self.token_dropout):
            if name not in known:
                raise ValueError(
                    f"model.loss: {name} must be a modality of the data, one of {', '.join(known)}"
                )


@dataclass(frozen=True)
class PixelLossConfig:
    """Settings of an image tokenizer's loss.

    Args:
        likelihood: "normal" (squared error) or "laplace" (absolute error).
        scale: of the likelihood, in pixel values (their range is 2); a smaller scale weighs pixels more.
        foreground_weight: of pixels that differ from the image's even background; 1 for photographs.
        terms: further terms of the objective: SSIM, MultiScaleGradients, LPIPS.
        round_trip_weight: of the loss that makes encode(decode(codes)) return the codes; 0 for none.
    """

    likelihood: Literal["normal", "laplace"] = "normal"
    scale: float = 0.5
    foreground_weight: float = 1.0
    terms: Sequence[Term] = ()
    round_trip_weight: float = 0.5
