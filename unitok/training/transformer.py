"""Trains a transformer on packed documents: loss, optimizer and log. Knows no pixels and no letters."""

import math
import time
from collections.abc import Sequence
from dataclasses import asdict

import torch
from jaxtyping import Bool, Int64
from lightning.pytorch import LightningModule
from torch import Tensor
from torch.distributed import ReduceOp, all_reduce
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from unitok.bundle import UniTok
from unitok.codec import Codec
from unitok.data.packing import Batch
from unitok.models.cross_entropy import LossSums, grouped_cross_entropy
from unitok.models.transformer import Transformer, TransformerConfig, TransformerSizes
from unitok.sampling import Sampling
from unitok.training.compilation import compile_blocks
from unitok.training.initialise import (
    NewHead,
    language_model_sizes,
    start_from_features,
    start_from_language_model,
)
from unitok.training.optimizers import Name, build_optimizer
from unitok.training.recomputation import recompute_blocks
from unitok.training.schedule import Kind, learning_rate, progress
from unitok.vocabulary import Vocabulary


class TransformerTraining(LightningModule):
    """Next-id training: Σ weight · (cross-entropy + z-loss) / Σ weight over a global batch's learned tokens.

    The vocabulary is that of the data.

    Args:
        model: sizes of the transformer.
        lr: peak learning rate of AdamW.
        muon_lr: peak learning rate of Muon, for the matrices of the blocks.
        optimizer: "muon" (with AdamW on all other weights) or "adamw" alone.
        warmup_steps: batches of linear rise.
        schedule: cosine, linear, wsd or constant.
        weight_decay: of the blocks' matrices.
        betas: of AdamW.
        clip: largest gradient norm.
        text_weight: of text tokens in the loss.
        image_weight: of image tokens in the loss.
        z_loss: coefficient of logsumexp² of the logits.
        code_scale: size of the codes' embeddings at the start, where they are laid out by the codes'
            features.
        hide_text: share of the input ids that a batch hides from the model (never its targets) in a text that
            follows another segment, so that it leans on that rather than on one word for the next. A
            document's first segment stays whole: a prompt with holes asks for other pictures.
        hide_image: the same share for image codes.
        init_from: transformers folder of a Qwen3 or Llama model to start from; its sizes replace those of
            `model` but for max_length, and data.text_tokenizer must be its tokenizer.json.
        new_head: where the head's rows of new ids start then: "mean" of the old ones, or "zero".
        freeze_steps: steps in which only the rows of new ids are trained.
        ema_decay: of an average of the weights that is validated and exported in their place; 0 for none.
        recompute: compute blocks again for their gradients, for less memory.
        compile: compile the blocks by torch.compile; where that does not work, one line says so.
        peak_tflops: of the machine, for the log's share of it that is used (mfu); 0 leaves it out.
        max_bad_batches: stop after this many batches in a row without a finite gradient.
        sampling: settings, per modality, that the exported model uses when a call names none.
        example_prompts: prompts that the exported model knows.
    """

    def __init__(
        self,
        model: TransformerSizes,
        *,
        lr: float = 3e-3,
        muon_lr: float = 0.02,
        optimizer: Name = "muon",
        warmup_steps: int = 50,
        schedule: Kind = "linear",
        weight_decay: float = 0.0,
        betas: tuple[float, float] = (0.9, 0.95),
        clip: float = 1.0,
        text_weight: float = 1.0,
        image_weight: float = 1.0,
        z_loss: float = 1e-4,
        code_scale: float = 0.3,
        hide_text: float = 0.0,
        hide_image: float = 0.0,
        init_from: str | None = None,
        new_head: NewHead = "mean",
        freeze_steps: int = 0,
        ema_decay: float = 0.0,
        recompute: bool = False,
        compile: bool = False,
        peak_tflops: float = 0.0,
        max_bad_batches: int = 20,
        sampling: dict[str, Sampling] | None = None,
        example_prompts: Sequence[str] = (),
    ):
        super().__init__()
        self.sizes, self.optimizer_name, self.schedule = model, optimizer, schedule
        self.rates = {"lr": lr, "muon_lr": muon_lr}
        self.warmup_steps, self.weight_decay, self.betas, self.clip = warmup_steps, weight_decay, betas, clip
        self.weights = {"text": text_weight, "image": image_weight}
        self.code_scale, self.hidden_shares = code_scale, {"text": hide_text, "image": hide_image}
        self.z_loss, self.compile_model, self.max_bad_batches = z_loss, compile, max_bad_batches
        self.init_from, self.new_head, self.freeze_steps = init_from, new_head, freeze_steps
        self.ema_decay, self.recompute, self.peak_tflops = ema_decay, recompute, peak_tflops
        self.averaged: AveragedModel | None = None
        self.averaged_steps = 0
        self.sampling, self.example_prompts = sampling, list(example_prompts)
        self.model: Transformer | None = None
        self.bad_batches = self.skipped = 0
        self.tokens: Tensor | int = 0
        self.clock = time.perf_counter()
        self.weight: Tensor | float = 0.0

    @property
    def codec(self) -> Codec:
        """That of the data."""
        return self.trainer.datamodule.codec

    def configure_model(self) -> None:
        if self.model is not None:
            return
        sizes, scale = self.sizes, self.code_scale
        if self.init_from is not None:
            sizes = language_model_sizes(self.init_from, max_length=sizes.max_length)
        self.model = Transformer(TransformerConfig(vocab_size=self.codec.vocabulary.size, **asdict(sizes)))
        if self.init_from is not None:
            scale = start_from_language_model(self.model, self.codec, self.init_from, new_head=self.new_head)
        start_from_features(self.model, self.codec, scale=scale)
        if self.ema_decay:  # before the blocks' forward is replaced, which a copy would share
            self.averaged = AveragedModel(self.model, multi_avg_fn=get_ema_multi_avg_fn(self.ema_decay))
            self.averaged.requires_grad_(False)
        if self.compile_model:
            compile_blocks(self.model.blocks, device=self.device)
        if self.recompute:
            recompute_blocks(self.model.blocks)

    @property
    def result(self) -> Transformer:
        """The transformer that is validated and exported."""
        return self.model if self.averaged is None else self.averaged.module

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return build_optimizer(
            self.model,
            name=self.optimizer_name,
            weight_decay=self.weight_decay,
            betas=self.betas,
            **self.rates,
        )

    # -- one step

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Set the learning rates, from the config alone: a checkpoint's are not kept."""
        factor = learning_rate(
            progress(self.trainer), step=self.global_step, warmup_steps=self.warmup_steps, kind=self.schedule
        )
        for group in self.optimizers().param_groups:
            group["lr"] = factor * self.rates["muon_lr" if group.get("muon") else "lr"]

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Σ of the batch; the gradients are divided once the weight of the whole global batch is known."""
        sums = self.sums(batch._replace(ids=self._partly_hidden(batch.ids)))
        self.weight = self.weight + sums.weight.detach()
        self.tokens = self.tokens + (batch.document >= 0).sum()
        if self._logs:
            self._log_sums(sums)
        return sums.total * (self.trainer.accumulate_grad_batches * self.trainer.world_size)

    def _partly_hidden(self, ids: Int64[Tensor, "b t"]) -> Int64[Tensor, "b t"]:
        """Input ids with some codes replaced by padding, chosen by the number of the batch."""
        if not any(self.hidden_shares.values()):
            return ids
        words, number = self.codec.vocabulary, self.trainer.fit_loop.epoch_loop.total_batch_idx
        generator = torch.Generator().manual_seed(number)
        later = after_first_segment(ids, words)
        for name, share in self.hidden_shares.items():
            codes = words.codes(name)
            drawn = torch.rand(ids.shape, generator=generator).to(ids.device) < share
            ids = torch.where(later & drawn & (ids >= codes.start) & (ids < codes.stop), words.pad, ids)
        return ids

    def sums(self, batch: Batch) -> LossSums:
        """The loss of a batch, as sums."""
        model = self.model if self.training else self.result
        hidden = model(batch.ids, batch.positions, document=batch.document)
        return grouped_cross_entropy(
            model.head,
            hidden,
            batch.targets,
            self.codec.groups,
            weights=self.weights,
            z_loss=self.z_loss,
        )

    def configure_gradient_clipping(
        self, optimizer, gradient_clip_val=None, gradient_clip_algorithm=None
    ) -> None:
        """Divide the gradients by the global batch's weight and clip them; drop those that are not finite."""
        weight, self.weight = self._over_ranks(torch.as_tensor(self.weight)), 0.0
        if self.global_step < self.freeze_steps:
            self._hold_old_rows()
        gradients = [w.grad for w in self.model.parameters() if w.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients) / weight
        if torch.isfinite(norm):
            self.bad_batches = 0
            torch._foreach_mul_(gradients, (self.clip / norm.clamp(min=self.clip) / weight).item())
        elif weight > 0:
            self._skip(norm)
        if self._logs:
            self.log("gradient_norm", norm)

    def _hold_old_rows(self) -> None:
        """Leave a gradient to the rows of new ids alone."""
        known = self.codec.modalities["text"].size
        for name, parameter in self.model.named_parameters():
            if name in ("embedding.weight", "unembedding.weight"):
                parameter.grad[:known] = 0
            else:
                parameter.grad = None

    def on_train_batch_end(self, *rest) -> None:
        if self.averaged is not None and self.global_step != self.averaged_steps:
            self.averaged.update_parameters(self.model)
        self.averaged_steps = self.global_step

    def _skip(self, norm: Tensor) -> None:
        for parameter in self.model.parameters():
            parameter.grad = None
        self.bad_batches += 1
        self.skipped += 1
        self.print(
            f"step {self.global_step}: gradient norm {norm.item()}, skipped ({self.bad_batches} in a row)"
        )
        if self.bad_batches >= self.max_bad_batches:
            raise ValueError(
                f"{self.bad_batches} batches in a row gave no finite gradient; the last checkpoint is good"
            )

    # -- the log

    @property
    def _logs(self) -> bool:
        return self.global_step % self.trainer.log_every_n_steps == 0

    def _log_sums(self, sums: LossSums) -> None:
        """The batch's loss and perplexity per modality, and the speed since the last line of the log."""
        self.log("loss", sums.mean.detach(), prog_bar=True)
        for name, total in sums.cross_entropy.items():
            mean = total / sums.count[name]
            self.log(f"loss/{name}", mean, prog_bar=name != "structure")
            self.log(f"perplexity/{name}", mean.exp())
        now = time.perf_counter()
        speed = float(self.tokens) / (now - self.clock)
        tflops = 6e-12 * speed * sum(weight.numel() for weight in self.model.blocks.parameters())
        self.log("tokens_per_second", speed, prog_bar=True)
        self.log("tflops", tflops)
        if self.peak_tflops:
            self.log("mfu", tflops / self.peak_tflops)
        self.log("lr", self.optimizers().param_groups[-1]["lr"])
        self.log("skipped_batches", float(self.skipped))
        self.clock, self.tokens = now, 0

    def _over_ranks(self, value: Tensor) -> Tensor:
        if self.trainer.world_size > 1:
            all_reduce(value, op=ReduceOp.SUM)
        return value

    # -- validation

    def on_validation_epoch_start(self) -> None:
        self._seen: dict[str, Tensor] = {}

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        sums = self.sums(batch)
        figures = {"total": sums.total, "weight": sums.weight}
        for name in sums.count:
            figures |= {f"sum/{name}": sums.cross_entropy[name], f"count/{name}": sums.count[name]}
        for name, value in figures.items():
            self._seen[name] = self._seen.get(name, 0.0) + value.double()

    def on_validation_epoch_end(self) -> None:
        names = ["total", "weight"]
        for modality in ("structure", *self.codec.modalities):
            names += [f"sum/{modality}", f"count/{modality}"]
        nothing = torch.zeros((), dtype=torch.double, device=self.device)
        seen = {name: float(self._over_ranks(self._seen.get(name, nothing))) for name in names}
        self.log("val/loss", seen["total"] / max(seen["weight"], 1e-9), prog_bar=True)
        for modality in ("structure", *self.codec.modalities):
            if seen[f"count/{modality}"]:
                mean = seen[f"sum/{modality}"] / seen[f"count/{modality}"]
                self.log(f"val/loss_{modality}", mean)
                self.log(f"val/perplexity_{modality}", math.exp(min(mean, 80.0)))

    # -- the result

    def bundle(self) -> UniTok:
        """The model with its codec, for use while it is trained."""
        return UniTok(self.result, self.codec, sampling=self.sampling, example_prompts=self.example_prompts)

    def export(self, directory: str) -> None:
        """Write the model's folder."""
        self.bundle().save_pretrained(directory)


def after_first_segment(ids: Int64[Tensor, "b t"], words: Vocabulary) -> Bool[Tensor, "b t"]:
    """Where a place comes after the end of its own document's first segment, in rows of packed documents."""
    ends = torch.tensor([words.end(name) for name in words.modalities], device=ids.device)
    ended = torch.isin(ids, ends).cumsum(dim=1)
    before = torch.where(ids == words.document_begin, ended, 0).cummax(dim=1).values
    return ended > before
