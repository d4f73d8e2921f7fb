"""Trains an image tokenizer: objective, optimizer and log. Knows no transformer."""

from typing import Literal

import torch
from jaxtyping import Float
from lightning.pytorch import LightningModule
from torch import Tensor
from torch.optim import AdamW

from unitok.models.autoencoder import ImageTokenizer, ImageTokenizerConfig
from unitok.models.losses import PixelLikelihood, psnr
from unitok.training.optimizers import MuonAdamW, Name
from unitok.training.schedule import Kind, learning_rate, progress


class TokenizerTraining(LightningModule):
    """VQ-VAE training: -log p(x|z_q) + ‖sg[z_e] - z_q‖² + β‖z_e - sg[z_q]‖² (arXiv:1711.00937, eq. 3).

    Args:
        model: sizes of the tokenizer.
        lr: peak learning rate of AdamW.
        muon_lr: peak learning rate of Muon, for the convolutions from channels to channels.
        optimizer: "muon" (with AdamW on all other weights) or "adamw" alone.
        warmup_steps: batches of linear rise.
        schedule: cosine, linear, wsd or constant.
        weight_decay: of those convolutions with Muon, of all weights with AdamW alone.
        clip: largest gradient norm.
        likelihood: "normal" (squared error) or "laplace" (absolute error).
        scale: of the likelihood, in pixel values (the whole range is 2); smaller weighs pixels more.
        foreground_weight: of pixels off the image's even ground; 1 for photographs.
        settle: share of the run, at its end, without revival of rare codes.
        max_bad_batches: stop after this many non-finite batches in a row.
    """

    def __init__(
        self,
        model: ImageTokenizerConfig,
        *,
        lr: float = 3e-3,
        muon_lr: float = 0.02,
        optimizer: Name = "muon",
        warmup_steps: int = 50,
        schedule: Kind = "linear",
        weight_decay: float = 0.0,
        clip: float = 1.0,
        likelihood: Literal["normal", "laplace"] = "normal",
        scale: float = 0.5,
        foreground_weight: float = 1.0,
        settle: float = 0.3,
        max_bad_batches: int = 20,
    ):
        super().__init__()
        self.sizes, self.optimizer_name, self.warmup_steps, self.schedule = (
            model,
            optimizer,
            warmup_steps,
            schedule,
        )
        self.rates = {"lr": lr, "muon_lr": muon_lr}
        self.weight_decay, self.clip, self.max_bad_batches = weight_decay, clip, max_bad_batches
        self.likelihood = PixelLikelihood(likelihood, scale=scale, foreground_weight=foreground_weight)
        self.settle = settle
        self.tokenizer: ImageTokenizer | None = None
        self.bad_batches = self.skipped = 0

    def configure_model(self) -> None:
        """Built here, not in `__init__`, so that the codebook's collectives see the process group."""
        if self.tokenizer is None:
            self.tokenizer = ImageTokenizer(self.sizes)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Muon sees each convolution as the matrix [outputs, inputs · kernel]."""
        weights, betas = list(self.tokenizer.parameters()), (0.9, 0.99)
        if self.optimizer_name == "adamw":
            return AdamW(
                weights, lr=self.rates["lr"], betas=betas, weight_decay=self.weight_decay, fused=True
            )
        inner = [w for w in weights if w.ndim == 4 and min(w.shape[:2]) >= self.sizes.channels]
        others = [w for w in weights if all(w is not other for other in inner)]
        return MuonAdamW(inner, others, betas=betas, weight_decay=self.weight_decay, **self.rates)

    def on_train_batch_start(self, batch: Tensor, batch_idx: int) -> None:
        """Set the learning rate, from the config alone: a checkpoint's is not kept."""
        share = progress(self.trainer)
        if share > 1 - self.settle:
            self.tokenizer.quantizer.stop_reviving()
        factor = learning_rate(
            share, step=self.global_step, warmup_steps=self.warmup_steps, kind=self.schedule
        )
        for group in self.optimizers().param_groups:
            group["lr"] = factor * self.rates["muon_lr" if group.get("muon") else "lr"]

    def training_step(self, batch: Float[Tensor, "b 3 h w"], batch_idx: int) -> Tensor | None:
        """The objective of a batch; None, before the codebook sees it, where its latents are not finite."""
        latents = self.tokenizer.latents(batch)
        if not self._everywhere(torch.isfinite(latents).all()):
            return self._skip("values")
        quantized = self.tokenizer.quantizer(latents)
        pixels = self.likelihood(batch, self.tokenizer.render(quantized.latents))
        loss = pixels + quantized.loss
        self.log("loss", loss.detach(), prog_bar=True)
        if self._logs:
            self.log("loss/pixels", pixels.detach())
            self.log("loss/codes", quantized.loss.detach())
            self.log("codebook/perplexity", perplexity(quantized.codes, self.sizes.codebook_size))
            self.log("lr", self.optimizers().param_groups[-1]["lr"])
            self.log("skipped_batches", float(self.skipped))
        return loss

    def configure_gradient_clipping(
        self, optimizer, gradient_clip_val=None, gradient_clip_algorithm=None
    ) -> None:
        """Clip the gradients; drop those that are not finite."""
        if all(parameter.grad is None for parameter in self.tokenizer.parameters()):
            return  # the batch was skipped
        norm = torch.nn.utils.clip_grad_norm_(self.tokenizer.parameters(), self.clip)
        if torch.isfinite(norm):
            self.bad_batches = 0
        else:
            optimizer.zero_grad()
            self._skip("gradients")
        if self._logs:
            self.log("gradient_norm", norm)

    def _skip(self, what: str) -> None:
        self.bad_batches += 1
        self.skipped += 1
        self.print(
            f"step {self.global_step}: {what} not finite, skipped ({self.bad_batches} batches in a row)"
        )
        if self.bad_batches >= self.max_bad_batches:
            raise ValueError(
                f"{self.bad_batches} batches in a row gave {what} that are not finite; "
                "the last checkpoint is good"
            )

    def _everywhere(self, flag: Tensor) -> bool:
        """Whether a flag holds on all ranks, which then skip a batch together."""
        return self.trainer.strategy.reduce_boolean_decision(bool(flag), all=True)

    @property
    def _logs(self) -> bool:
        return self.global_step % self.trainer.log_every_n_steps == 0

    def on_validation_epoch_start(self) -> None:
        self._seen: set[int] = set()

    def validation_step(self, batch: Float[Tensor, "b 3 h w"], batch_idx: int) -> None:
        codes = self.tokenizer.encode(batch).codes
        again = self.tokenizer.decode(codes)
        self._seen.update(codes.unique().tolist())
        self.log("val/loss", self.likelihood(batch, again), prog_bar=True)
        self.log("val/psnr", psnr(batch, again), prog_bar=True)

    def on_validation_epoch_end(self) -> None:
        self.log("codebook/usage", len(self._seen) / self.sizes.codebook_size, prog_bar=True)

    def export(self, directory: str) -> None:
        """Write the tokenizer's folder."""
        self.tokenizer.save_pretrained(directory)


def perplexity(codes: Tensor, size: int) -> Float[Tensor, ""]:
    """exp of the entropy of the codes' frequencies: how many codes are in even use."""
    share = torch.bincount(codes.flatten(), minlength=size).float() / codes.numel()
    return (-(share * share.clamp(min=1e-10).log()).sum()).exp()
