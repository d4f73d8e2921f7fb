"""Trains an image tokenizer: objective, optimizers, log. Knows no transformer."""

import json
from collections.abc import Sequence
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
from unitok.models.image_tokenizer.image_tokenizer import ImageTokenizer, ImageTokenizerConfig
from unitok.models.image_tokenizer.loss_terms import SSIM, Term
from unitok.models.image_tokenizer.pixel_loss import PixelLikelihood, psnr
from unitok.models.image_tokenizer.quantizer import Quantized
from unitok.training.adversary import Adversary, AdversaryConfig
from unitok.training.metrics import Means, over_ranks
from unitok.training.optimizers import MuonAdamW, Name, rates
from unitok.training.run.bad_batches import BadBatches
from unitok.training.run.resume_check import check_fits
from unitok.training.run.whole_steps import check_validations, inside_step
from unitok.training.schedule import Kind, progress, set_rates

WIDE = 32
"""Inputs and outputs from which a matrix is Muon's: narrow ones lead to colours and codes."""
MEASURED = ("val/loss", "val/psnr", "val/surviving_codes", "val/ssim")
"""What a validation says of images; the last where they are large enough for it."""


class TokenizerTraining(LightningModule):
    """VQ-VAE training: -log p(x|z_q) + ‖sg[z_e] - z_q‖² + β‖z_e - sg[z_q]‖² (arXiv:1711.00937, eq. 3).

    With an adversary it is a VQGAN's. Optimisation is manual, so that both sides take their own steps; the
    trainer counts those of the tokenizer.

    Args:
        model: architecture and quantizer.
        lr: peak learning rate of AdamW.
        muon_lr: peak learning rate of Muon, for the wide matrices and convolutions.
        optimizer: "muon" (with AdamW on all other weights) or "adamw" alone.
        warmup_steps: steps of linear rise.
        schedule: cosine, linear, wsd or constant.
        weight_decay: of Muon's weights, of all weights with AdamW alone.
        clip: largest gradient norm.
        accumulate: batches whose gradients make one step.
        likelihood: "normal" (squared error) or "laplace" (absolute error).
        scale: of the likelihood, in pixel values (the whole range is 2); smaller weighs pixels more.
        foreground_weight: of pixels off the image's even ground; 1 for photographs.
        terms: further terms of the objective: SSIM, MultiScaleGradients, LPIPS.
        round_trip_weight: of the term by which encode(decode(codes)) gives the codes back; 0 for none.
        adversary: a discriminator to please as well; absent for none.
        ema_decay: of an average of the weights that is measured and exported in their place; 0 for none.
        inception: file of Inception's weights for FID in `test`; without one a surrogate is measured.
        tile: cells a side of the tiles in which `test` takes large pictures; 0 takes them whole.
        settle: share of the run, at its end, without revival of rare codes.
        init_from: folder of an image tokenizer to start from; what it is made of replaces `model`.
        decoder_alone: train the decoder alone: codes stay what they are, and all that was learned of them
            stays valid.
        max_bad_batches: stop after this many non-finite batches in a row.

    Raises:
        ValueError: `decoder_alone` without `init_from`: nothing can be told from random codes.
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
        accumulate: int = 1,
        likelihood: Literal["normal", "laplace"] = "normal",
        scale: float = 0.5,
        foreground_weight: float = 1.0,
        terms: Sequence[Term] = (),
        round_trip_weight: float = 0.5,
        adversary: AdversaryConfig | None = None,
        ema_decay: float = 0.0,
        inception: str | None = None,
        tile: int = 0,
        settle: float = 0.3,
        init_from: str | None = None,
        decoder_alone: bool = False,
        max_bad_batches: int = 20,
    ):
        super().__init__()
        if decoder_alone and init_from is None:
            raise ValueError("decoder_alone needs init_from: the tokenizer whose codes stay")
        self.automatic_optimization = False
        self.config, self.optimizer_name, self.adversary_config = model, optimizer, adversary
        self.rates = rates(lr=lr, muon_lr=muon_lr)
        self.warmup_steps, self.schedule, self.weight_decay = warmup_steps, schedule, weight_decay
        self.clip, self.accumulate, self.bad = clip, accumulate, BadBatches(max_bad_batches)
        self.likelihood = PixelLikelihood(likelihood, scale=scale, foreground_weight=foreground_weight)
        self.terms, self.round_trip_weight = torch.nn.ModuleList(terms), round_trip_weight
        self.ema_decay, self.settle = ema_decay, settle
        self.init_from, self.decoder_alone = init_from, decoder_alone
        self.measured = {"inception": inception, "tile": tile}
        self.ssim = SSIM()
        self.tokenizer: ImageTokenizer | None = None
        self.adversary: Adversary | None = None
        self.averaged: AveragedModel | None = None

    def without_effect(self) -> dict[str, str]:
        """Settings that do nothing beside the others, and why."""
        idle = {}
        if self.optimizer_name == "adamw":
            idle["muon_lr"] = "model.optimizer is adamw"
        if self.init_from is not None:
            idle["model"] = f"model.init_from is {self.init_from}"
        return idle

    # -- what is trained

    def configure_model(self) -> None:
        """Built here, not in `__init__`, so that the codebook's collectives see the process group."""
        if self.tokenizer is not None:
            return
        if self.device_mesh is not None:
            raise ValueError("an image tokenizer is not dealt out over processes: give trainer.strategy=ddp")
        self.tokenizer = self._begun()
        if self.decoder_alone:
            self.tokenizer.encoder.requires_grad_(False)
            self.tokenizer.quantizer.requires_grad_(False)
        if self.adversary_config is not None:
            self.adversary = Adversary(self.adversary_config)
            names = [f"adversary.{name}" for name, _ in self.adversary.named_parameters()]
            self._ddp_params_and_buffers_to_ignore = names  # it steps by itself, and averages its gradients
        if self.ema_decay:
            self.averaged = AveragedModel(self.tokenizer, multi_avg_fn=get_ema_multi_avg_fn(self.ema_decay))
            self.averaged.requires_grad_(False)

    def _begun(self) -> ImageTokenizer:
        """The tokenizer with its first weights."""
        if self.init_from is None:
            return ImageTokenizer(self.config)
        return ImageTokenizer.from_pretrained(self.init_from).train()

    @property
    def result(self) -> ImageTokenizer:
        """The tokenizer that is measured and exported."""
        return self.tokenizer if self.averaged is None else self.averaged.module

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """Muon sees each convolution as the matrix [outputs, inputs · kernel]."""
        weights, betas = [w for w in self.tokenizer.parameters() if w.requires_grad], (0.9, 0.99)
        if self.optimizer_name == "adamw":
            own = AdamW(weights, lr=self.rates["lr"], betas=betas, weight_decay=self.weight_decay, fused=True)
        else:
            wide = [w for w in weights if w.ndim in (2, 4) and min(w.shape[:2]) >= WIDE]
            others = [w for w in weights if all(w is not other for other in wide)]
            own = MuonAdamW(wide, others, betas=betas, weight_decay=self.weight_decay, **self.rates)
        return [own] if self.adversary is None else [own, self.adversary.optimizer()]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Raises ValueError where it is another run's."""
        check_fits(str(self.trainer.ckpt_path), checkpoint["state_dict"], self.state_dict())

    # -- one step

    def on_train_start(self) -> None:
        check_validations(self.trainer, setting="model.accumulate")

    def on_train_batch_start(self, batch: Tensor, batch_idx: int) -> None:
        share = progress(self.trainer)
        if share > 1 - self.settle:
            self.tokenizer.quantizer.stop_reviving()
        when = {"share": share, "step": self.global_step, "warmup_steps": self.warmup_steps}
        set_rates(self._optimizers()[0], self.rates, kind=self.schedule, **when)

    def training_step(self, batch: Float[Tensor, "b 3 h w"], batch_idx: int) -> Tensor | None:
        """Learn from a batch, and step after the last one of a step, whatever became of that."""
        loss = self._learn(batch)
        if not inside_step(self.trainer):
            self._step()
        return loss

    def _learn(self, batch: Float[Tensor, "b 3 h w"]) -> Tensor | None:
        """The objective of a batch; None, before the codebook sees it, if a rank has no image or its latents
        are not finite."""
        if not self._everywhere(len(batch) > 0):
            return self._skip("no image in the batch", told=self.trainer.world_size == 1)
        if self.decoder_alone:
            quantized = self._known_codes(batch)
        else:
            latents = self.tokenizer.latents(batch)
            if not self._everywhere(torch.isfinite(latents).all()):
                return self._skip("values not finite")
            quantized = self.tokenizer.quantizer(latents)
        again = self.tokenizer.render(quantized.latents)
        parts = {"pixels": self.likelihood(batch, again)}
        parts |= {term.name: term.weight * term(batch, again) for term in self.terms}
        if self.round_trip_weight:
            parts["round_trip"] = self.round_trip_weight * self._round_trip(again, quantized.codes)
        if self._adversary_since("counts_from"):
            rest = sum(parts.values())
            parts["adversary"] = self.adversary.term(again, rest, self.tokenizer.last_weight)
        loss = sum(parts.values()) + quantized.loss
        self.log("loss", loss.detach(), prog_bar=True)
        if self._logs:
            for name, part in (parts | {"codes": quantized.loss}).items():
                self.log(f"loss/{name}", part.detach())
            self.log("codebook/perplexity", perplexity(quantized.codes, self.tokenizer.codebook_size))
            self.log("lr", self._optimizers()[0].param_groups[-1]["lr"])
            self.log("skipped_batches", float(self.bad.skipped))
        self.manual_backward(loss / self.accumulate)
        if self._adversary_since("learns_from"):
            self._train_adversary(batch, again)
        return loss.detach()

    def _round_trip(
        self, again: Float[Tensor, "b 3 h w"], codes: Int64[Tensor, "b u v"]
    ) -> Float[Tensor, ""]:
        """‖E(D(z_q)) − sg[z_q]‖², the commitment term of decoded images: a mean over elements."""
        quantizer = self.tokenizer.quantizer
        latents = self.tokenizer.latents(again.clamp(-1, 1)).float()
        return F.mse_loss(quantizer.placed(latents), quantizer.vectors(codes).detach())

    @torch.no_grad()
    def _known_codes(self, batch: Float[Tensor, "b 3 h w"]) -> Quantized:
        """As whoever uses the tokenizer encodes; the codebook sees nothing of it."""
        self.tokenizer.quantizer.eval()
        return self.tokenizer.encode(batch)

    def _step(self) -> None:
        """Clip the gradients and take a step; drop gradients that are not finite."""
        optimizer = self._optimizers()[0]
        learned = any(weight.grad is not None for weight in self.tokenizer.parameters())
        norm = torch.nn.utils.clip_grad_norm_(self.tokenizer.parameters(), self.clip)
        if not torch.isfinite(norm):
            optimizer.zero_grad()
            self._skip("gradients not finite")
        elif learned:
            self.bad.end()
        optimizer.step()  # without gradients it changes nothing, and is counted
        optimizer.zero_grad()
        if self.averaged is not None:
            self.averaged.update_parameters(self.tokenizer)
        if self._logs:
            self.log("gradient_norm", norm)

    def _train_adversary(self, images: Tensor, again: Tensor) -> None:
        """A step of the discriminator by its bare optimizer, which the trainer does not count."""
        optimizer = self._optimizers()[1].optimizer
        result = self.adversary.learn(
            images, again, optimizer, backward=self.manual_backward, average=self._average, clip=self.clip
        )
        if self._logs:
            self.log("adversary/loss", result.loss)
            self.log("adversary/accuracy", result.accuracy)

    def _adversary_since(self, moment: Literal["learns_from", "counts_from"]) -> bool:
        return self.adversary is not None and self.global_step >= getattr(self.adversary_config, moment)

    def _optimizers(self) -> list:
        """The tokenizer's, then the discriminator's if there is one."""
        given = self.optimizers()
        return given if isinstance(given, list) else [given]

    def _skip(self, what: str, *, told: bool = True) -> None:
        line = self.bad.skip(what, step=self.global_step)
        if told:  # of several ranks the last batch of an epoch is often empty on some
            self.print(line)

    def on_train_end(self) -> None:
        """Raises ValueError where nothing was learned: then there is nothing to export."""
        self.bad.check()

    def _everywhere(self, flag: Tensor | bool) -> bool:
        """Whether a flag holds on all ranks, which then skip a batch together."""
        return self.trainer.strategy.reduce_boolean_decision(bool(flag), all=True)

    def _average(self, gradients: list[Tensor]) -> None:
        """Make gradients those of all ranks."""
        if self.trainer.world_size > 1:
            for gradient in gradients:
                all_reduce(gradient.div_(self.trainer.world_size))

    @property
    def _logs(self) -> bool:
        return self.global_step % self.trainer.log_every_n_steps == 0

    # -- validation

    def on_validation_epoch_start(self) -> None:
        self.bad.check()
        self.means = Means(MEASURED)
        self.seen = [0.0] * self.tokenizer.codebook_size

    def validation_step(self, batch: Float[Tensor, "b 3 h w"], batch_idx: int) -> None:
        if not len(batch):
            return
        codes = self.result.encode(batch).codes
        again = self.result.decode(codes)
        for code in codes.unique().tolist():
            self.seen[code] = 1.0
        survived = (self.result.encode(again).codes == codes).float().mean()
        values = [self.likelihood(batch, again), psnr(batch, again), survived]
        if min(batch.shape[2:]) >= self.ssim.SIDE:
            values.append(1 - self.ssim(batch, again))
        self.means.add(dict(zip(MEASURED, values, strict=False)), len(batch))

    def on_validation_epoch_end(self) -> None:
        for name, value in self.means.figures(self.trainer).items():
            self.log(name, value, prog_bar=name in ("val/loss", "val/psnr"))
        used = sum(ranks > 0 for ranks in over_ranks(self.seen, self.trainer))
        self.log("codebook/usage", used / len(self.seen), prog_bar=True)

    # -- test

    def on_test_start(self) -> None:
        self.metrics = ReconstructionMetrics(self.result, **self.measured)

    def test_step(self, batch: Float[Tensor, "b 3 h w"], batch_idx: int) -> None:
        if len(batch):
            self.metrics.update(batch)

    def on_test_epoch_end(self) -> None:
        figures = self.metrics.figures()
        self.log_dict({f"test/{name}": value for name, value in figures.items()})
        if self.trainer.is_global_zero:
            path = Path(self.trainer.default_root_dir) / "test.json"
            write_text(path, json.dumps(figures, indent=2) + "\n")

    # -- the result

    refuse_foreign = staticmethod(ImageTokenizer.refuse_foreign)

    def export(self, directory: str) -> None:
        """Write the tokenizer's folder, by one process."""
        if self.trainer.is_global_zero:
            self.result.save_pretrained(directory)


def perplexity(codes: Tensor, size: int) -> Float[Tensor, ""]:
    """exp of the entropy of the codes' frequencies: how many codes are in even use."""
    share = torch.bincount(codes.flatten(), minlength=size).float() / codes.numel()
    return (-(share * share.clamp(min=1e-10).log()).sum()).exp()
