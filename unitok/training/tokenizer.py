"""Trains an image tokenizer: objective, optimizers, log. Knows no transformer."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float, Int64
from lightning.pytorch import LightningModule
from torch import Tensor
from torch.distributed import all_reduce
from torch.nn import functional as F
from torch.optim import AdamW
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from unitok.atomic_files import write_text
from unitok.evaluate.metrics.reconstruction import ReconstructionMetrics
from unitok.models.image_tokenizer.architecture import Architecture
from unitok.models.image_tokenizer.image_tokenizer import ImageTokenizer, ImageTokenizerConfig
from unitok.models.image_tokenizer.loss_terms import SSIM
from unitok.models.image_tokenizer.patch import Patch
from unitok.models.image_tokenizer.pixel_loss import PixelLikelihood, psnr
from unitok.models.image_tokenizer.quantizer import Quantized, QuantizerConfig
from unitok.models.image_tokenizer.vector_quantizers import EMACodebook
from unitok.training.adversary import Adversary, AdversaryConfig
from unitok.training.loss_config import PixelLossConfig
from unitok.training.metrics import Means, sum_over_ranks
from unitok.training.optimizers import MuonAdamW, OptimizerConfig
from unitok.training.run.bad_batches import BadBatches
from unitok.training.run.log_steps import logs_step
from unitok.training.run.resume_check import check_fits
from unitok.training.run.whole_steps import check_validations, inside_step
from unitok.training.schedule import progress

MUON_MIN_WIDTH = 32
"""Muon trains matrices with at least this many inputs and outputs; narrower ones map to colours or codes."""
VALIDATION_METRICS = ("val/loss", "val/psnr", "val/surviving_codes", "val/ssim")
"""Logged after each validation; SSIM only for images that are large enough for its window."""


@dataclass(frozen=True)
class TokenizerStart:
    """The weights before the first step.

    Args:
        init_from: folder of an image tokenizer to start from, whose architecture and quantizer it keeps.
        decoder_alone: train only the decoder: codes keep their meaning, so models trained on them stay valid.

    Raises:
        ValueError: `decoder_alone` without `init_from`: random codes carry no information to decode.
    """

    init_from: str | None = None
    decoder_alone: bool = False

    def __post_init__(self):
        if self.decoder_alone and self.init_from is None:
            raise ValueError("decoder_alone needs init_from: the tokenizer whose codes are kept")


class TokenizerTraining(LightningModule):
    """VQ-VAE training: -log p(x|z_q) + ‖sg[z_e] - z_q‖² + β‖z_e - sg[z_q]‖² (arXiv:1711.00937, eq. 3).

    An adversary makes it VQGAN training. Optimisation is manual, so that tokenizer and discriminator take
    separate steps; the trainer counts the tokenizer's.

    Args:
        architecture: encoder and decoder: Patch, VQGAN, ViT, or Emu3 for its checkpoints.
        quantizer: codebook: EMACodebook, LearnedCodebook, SimVQCodebook, ResidualCodebooks, FSQLevels,
            LFQSigns, or JanusCodebook for its checkpoints.
        optimizer: optimizer, schedule and clipping.
        loss: likelihood of the pixels, further terms, round trip.
        start: initial weights: from scratch, or of another tokenizer.
        adversary: settings of a discriminator; absent for none.
        accumulate: batches per optimizer step.
        ema_decay: of a moving average of the weights, which is measured and exported instead; 0 for none.
        settle: share of the run, at its end, in which rare codes are no longer revived.
        inception: file of Inception weights for FID in `test`; without it a surrogate is measured.
        tile: side of the tiles, in cells, in which `test` encodes large images; 0 encodes them whole.
    """

    MONITOR = "val/loss"
    """Of its validations, by which the exported weights are chosen."""

    def __init__(
        self,
        architecture: Architecture = Patch(),  # noqa: B008 (all of these are frozen)
        quantizer: QuantizerConfig = EMACodebook(),  # noqa: B008
        *,
        optimizer: OptimizerConfig = OptimizerConfig(betas=(0.9, 0.99)),  # noqa: B008
        loss: PixelLossConfig = PixelLossConfig(),  # noqa: B008
        start: TokenizerStart = TokenizerStart(),
        adversary: AdversaryConfig | None = None,
        accumulate: int = 1,
        ema_decay: float = 0.0,
        settle: float = 0.3,
        inception: str | None = None,
        tile: int = 0,
    ):
        super().__init__()
        self.automatic_optimization = False
        self.config = ImageTokenizerConfig(architecture, quantizer)
        self.optimizer_config, self.start_config, self.adversary_config = optimizer, start, adversary
        self.accumulate, self.bad = accumulate, BadBatches(optimizer.max_bad_batches)
        self.likelihood = PixelLikelihood(
            loss.likelihood, scale=loss.scale, foreground_weight=loss.foreground_weight
        )
        self.terms, self.round_trip_weight = torch.nn.ModuleList(loss.terms), loss.round_trip_weight
        self.ema_decay, self.settle = ema_decay, settle
        self.test_options = {"inception": inception, "tile": tile}
        self.ssim = SSIM()
        self.tokenizer: ImageTokenizer | None = None
        self.adversary: Adversary | None = None
        self.averaged: AveragedModel | None = None

    def ineffective_settings(self) -> dict[str, str]:
        """Settings that the other settings make ineffective, with the reason."""
        unused, origin = self.optimizer_config.ineffective(), self.start_config.init_from
        if origin is None:
            return unused
        return unused | dict.fromkeys(("architecture", "quantizer"), f"model.start.init_from is {origin}")

    # -- models and optimizers

    def configure_model(self) -> None:
        """Build the models here, not in `__init__`: the codebook's collectives need the process group."""
        if self.tokenizer is not None:
            return
        if self.device_mesh is not None:
            raise ValueError("an image tokenizer cannot be sharded: set trainer.strategy=ddp")
        self.tokenizer = self._build_tokenizer()
        if self.start_config.decoder_alone:
            self.tokenizer.encoder.requires_grad_(False)
            self.tokenizer.quantizer.requires_grad_(False)
        if self.adversary_config is not None:
            self.adversary = Adversary(self.adversary_config)
            names = [f"adversary.{name}" for name, _ in self.adversary.named_parameters()]
            self._ddp_params_and_buffers_to_ignore = names  # it steps separately and averages its gradients
        if self.ema_decay:
            self.averaged = AveragedModel(self.tokenizer, multi_avg_fn=get_ema_multi_avg_fn(self.ema_decay))
            self.averaged.requires_grad_(False)

    def _build_tokenizer(self) -> ImageTokenizer:
        """Builds the tokenizer with its initial weights."""
        if self.start_config.init_from is None:
            return ImageTokenizer(self.config)
        return ImageTokenizer.from_pretrained(self.start_config.init_from).train()

    @property
    def result(self) -> ImageTokenizer:
        """The tokenizer that is measured and exported."""
        return self.tokenizer if self.averaged is None else self.averaged.module

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """Builds the tokenizer's optimizer and, with an adversary, the discriminator's.

        Muon treats each convolution as the matrix [outputs, inputs · kernel].
        """
        config, weights = self.optimizer_config, [w for w in self.tokenizer.parameters() if w.requires_grad]
        shared = {"betas": config.betas, "weight_decay": config.weight_decay}
        if config.name == "adamw":
            optimizer = AdamW(weights, lr=config.lr, fused=True, **shared)
        else:
            wide = [w for w in weights if w.ndim in (2, 4) and min(w.shape[:2]) >= MUON_MIN_WIDTH]
            others = [w for w in weights if all(w is not other for other in wide)]
            optimizer = MuonAdamW(wide, others, **config.rates, **shared)
        return [optimizer] if self.adversary is None else [optimizer, self.adversary.optimizer()]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Raises ValueError if the checkpoint belongs to a run with another model."""
        check_fits(str(self.trainer.ckpt_path), checkpoint, self.state_dict())

    # -- one step

    def on_train_start(self) -> None:
        check_validations(self.trainer, setting="model.accumulate")

    def on_train_batch_start(self, batch: Tensor, batch_idx: int) -> None:
        share = progress(self.trainer)
        if share > 1 - self.settle:
            self.tokenizer.quantizer.stop_reviving()
        self.optimizer_config.set_rates(self._optimizers()[0], share=share, step=self.global_step)

    def training_step(self, batch: Float[Tensor, "b 3 h w"], batch_idx: int) -> Tensor | None:
        """Accumulate a batch's gradients, and step after a step's last batch even if that was skipped."""
        loss = self._accumulate_gradients(batch)
        if not inside_step(self.trainer):
            self._step()
        return loss

    def _accumulate_gradients(self, batch: Float[Tensor, "b 3 h w"]) -> Tensor | None:
        """Returns a batch's loss after its backward pass, or None for a skipped batch.

        All ranks skip a batch, before the codebook is updated from it, if one rank has no image or non-finite
        latents.
        """
        if not self._on_all_ranks(len(batch) > 0):
            return self._skip("no image in the batch", report=self.trainer.world_size == 1)
        if self.start_config.decoder_alone:
            quantized = self._encode_frozen(batch)
        else:
            latents = self.tokenizer.latents(batch)
            if not self._on_all_ranks(torch.isfinite(latents).all()):
                return self._skip("values not finite")
            quantized = self.tokenizer.quantizer(latents)
        decoded = self.tokenizer.render(quantized.latents)
        losses = {"pixels": self.likelihood(batch, decoded)}
        losses |= {term.name: term.weight * term(batch, decoded) for term in self.terms}
        if self.round_trip_weight:
            losses["round_trip"] = self.round_trip_weight * self._round_trip_loss(decoded, quantized.codes)
        if self._adversary_reached("counts_from"):
            rest = sum(losses.values())
            losses["adversary"] = self.adversary.term(decoded, rest, self.tokenizer.last_weight)
        loss = sum(losses.values()) + quantized.loss
        if logs_step(self.trainer):
            self.log("step", float(self.global_step))  # the log's axis; the trainer would count batches
            self.log("loss", loss.detach(), prog_bar=True)
            self.log("psnr", psnr(batch, decoded), prog_bar=True)
            for name, term in (losses | {"codes": quantized.loss}).items():
                self.log(f"loss/{name}", term.detach())
            self.log("codebook/perplexity", perplexity(quantized.codes, self.tokenizer.codebook_size))
            self.log("lr", self._optimizers()[0].param_groups[-1]["lr"])
            self.log("skipped_batches", float(self.bad.skipped))
        self.manual_backward(loss / self.accumulate)
        if self._adversary_reached("learns_from"):
            self._train_adversary(batch, decoded)
        return loss.detach()

    def _round_trip_loss(
        self, decoded: Float[Tensor, "b 3 h w"], codes: Int64[Tensor, "b u v"]
    ) -> Float[Tensor, ""]:
        """‖E(D(z_q)) − sg[z_q]‖², the commitment term of decoded images: a mean over the elements of every
        second one, which costs half as much and is the same on average."""
        quantizer, decoded, codes = self.tokenizer.quantizer, decoded[::2], codes[::2]
        latents = self.tokenizer.latents(decoded.clamp(-1, 1)).float()
        return F.mse_loss(quantizer.to_code_space(latents), quantizer.vectors(codes).detach())

    @torch.no_grad()
    def _encode_frozen(self, batch: Float[Tensor, "b 3 h w"]) -> Quantized:
        """Encodes as at inference: the codebook is not updated."""
        self.tokenizer.quantizer.eval()
        return self.tokenizer.encode(batch)

    def _step(self) -> None:
        """Clip the gradients and take a step; drop gradients that are not finite."""
        optimizer = self._optimizers()[0]
        has_gradients = any(weight.grad is not None for weight in self.tokenizer.parameters())
        norm = torch.nn.utils.clip_grad_norm_(self.tokenizer.parameters(), self.optimizer_config.clip)
        if not torch.isfinite(norm):
            optimizer.zero_grad()
            self._skip("gradients not finite")
        elif has_gradients:
            self.bad.count_good()
        optimizer.step()  # without gradients it changes nothing, but the trainer counts it
        optimizer.zero_grad()
        if self.averaged is not None:
            self.averaged.update_parameters(self.tokenizer)
        if logs_step(self.trainer):
            self.log("gradient_norm", norm)

    def _train_adversary(self, images: Tensor, decoded: Tensor) -> None:
        """Take a step of the discriminator with its bare optimizer: the trainer must not count the step."""
        optimizer = self._optimizers()[1].optimizer
        result = self.adversary.train_step(
            images,
            decoded,
            optimizer,
            backward=self.manual_backward,
            average=self._average_gradients,
            clip=self.optimizer_config.clip,
        )
        if logs_step(self.trainer):
            self.log("adversary/loss", result.loss)
            self.log("adversary/accuracy", result.accuracy)

    def _adversary_reached(self, milestone: Literal["learns_from", "counts_from"]) -> bool:
        return self.adversary is not None and self.global_step >= getattr(self.adversary_config, milestone)

    def _optimizers(self) -> list:
        """The tokenizer's optimizer, then the discriminator's if there is one."""
        optimizers = self.optimizers()
        return optimizers if isinstance(optimizers, list) else [optimizers]

    def _skip(self, reason: str, *, report: bool = True) -> None:
        message = self.bad.skip(reason, step=self.global_step)
        if report:  # with several ranks, the last batch of an epoch is often empty on some
            self.print(message)

    def on_train_end(self) -> None:
        """Raises ValueError if every batch was skipped: then there is nothing to export."""
        self.bad.check()

    def _on_all_ranks(self, flag: Tensor | bool) -> bool:
        """Whether a flag holds on all ranks, so that they skip a batch together."""
        return self.trainer.strategy.reduce_boolean_decision(bool(flag), all=True)

    def _average_gradients(self, gradients: list[Tensor]) -> None:
        """Average gradients over all ranks, in place."""
        if self.trainer.world_size > 1:
            for gradient in gradients:
                all_reduce(gradient.div_(self.trainer.world_size))

    # -- validation

    def on_validation_epoch_start(self) -> None:
        self.bad.check()
        self.means = Means(VALIDATION_METRICS)
        self.used_codes = [0.0] * self.tokenizer.codebook_size

    def validation_step(self, batch: Float[Tensor, "b 3 h w"], batch_idx: int) -> None:
        if not len(batch):
            return
        codes = self.result.encode(batch).codes
        decoded = self.result.decode(codes)
        for code in codes.unique().tolist():
            self.used_codes[code] = 1.0
        surviving = (self.result.encode(decoded).codes == codes).float().mean()
        values = [self.likelihood(batch, decoded), psnr(batch, decoded), surviving]
        if min(batch.shape[2:]) >= self.ssim.MIN_SIDE:
            values.append(1 - self.ssim(batch, decoded))
        self.means.add(dict(zip(VALIDATION_METRICS, values, strict=False)), len(batch))

    def on_validation_epoch_end(self) -> None:
        self.log("step", float(self.global_step))
        for name, value in self.means.figures(self.trainer).items():
            self.log(name, value, prog_bar=name == "val/loss")
        used = sum(ranks > 0 for ranks in sum_over_ranks(self.used_codes, self.trainer))
        self.log("codebook/usage", used / len(self.used_codes), prog_bar=True)

    # -- test

    def on_test_start(self) -> None:
        self.metrics = ReconstructionMetrics(self.result, **self.test_options)

    def test_step(self, batch: Float[Tensor, "b 3 h w"], batch_idx: int) -> None:
        if len(batch):
            self.metrics.update(batch)

    def on_test_epoch_end(self) -> None:
        figures = self.metrics.figures()
        self.log_dict({f"test/{name}": value for name, value in figures.items()})
        if self.trainer.is_global_zero:
            path = Path(self.trainer.default_root_dir) / "test.json"
            write_text(path, json.dumps(figures, indent=2) + "\n")

    # -- export

    refuse_foreign = staticmethod(ImageTokenizer.refuse_foreign)

    def export(self, directory: str) -> None:
        """Write the tokenizer's folder, from one process."""
        if self.trainer.is_global_zero:
            self.result.save_pretrained(directory)


def perplexity(codes: Tensor, size: int) -> Float[Tensor, ""]:
    """exp of the entropy of the codes' frequencies: the number of codes in use, if used evenly."""
    share = torch.bincount(codes.flatten(), minlength=size).float() / codes.numel()
    return (-(share * share.clamp(min=1e-10).log()).sum()).exp()
