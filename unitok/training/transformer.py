"""Trains a transformer on packed documents: loss, optimizer, log. Knows no pixels and no letters."""

from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from unitok.api.model_folder import refuse_foreign
from unitok.api.unitok import UniTok
from unitok.data.batches.packing import Batch
from unitok.generation.sampling import Sampling
from unitok.models.attention_backends import Backend, packed_mask
from unitok.models.cross_entropy import LossSums, grouped_cross_entropy
from unitok.models.transformer import Transformer, TransformerConfig, TransformerSizes
from unitok.tokens.codec import Codec
from unitok.training.metrics import Speed, Totals, batch_figures, over_ranks
from unitok.training.optimizers import Name, begin_states, build_optimizer, rates
from unitok.training.run.bad_batches import EMPTY, BadBatches
from unitok.training.run.resume_check import check_fits
from unitok.training.run.whole_steps import check_validations
from unitok.training.schedule import Kind, progress, set_rates
from unitok.training.targets import COMPETITIONS, Head
from unitok.training.token_dropout import partly_hidden
from unitok.training.weights.init_embeddings import NewHead, start_from_features
from unitok.training.weights.init_from import origin_of
from unitok.training.weights.lora import add_adapters, hold_blocks, hold_old_rows, merged
from unitok.training.weights.parallelize import (
    compile_blocks,
    gathered,
    recompute_blocks,
    reshard,
    shard,
    whole,
)


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
        head: "legal": a target competes with the ids that are legal at its place; "full": with all, and the
            forced ids are learned too, for engines that have no mask of the grammar.
        attention: sdpa everywhere, flex or xformers on CUDA; same output, and sdpa where one is missing.
        code_scale: size of the codes' embeddings at the start, where they are laid out by the codes'
            features.
        hide_text: share of the input ids that a batch hides from the model (never its targets) in a text that
            follows another segment, so that it leans on that rather than on one word for the next. A
            document's first segment stays whole: a prompt with holes asks for other pictures.
        hide_image: the same share for image codes.
        init_from: model folder to start from: one that this script exported, with its two tokenizers, or a
            transformers folder of a Qwen3 or Llama model, whose tokenizer.json data.text_tokenizer must be.
            Its sizes replace those of `model` but for max_length.
        new_head: where the head's rows of new ids start then: "mean" of the text's, or "zero".
        new_words: whether the data have a text tokenizer of their own, though init_from is a folder of ours;
            each of its codes starts as the mean of the pieces that its text had there.
        freeze_steps: steps in which only the rows of new ids are trained.
        lora_rank: train updates of this rank instead of the blocks' matrices, and the rows of new ids; the
            exported model has them merged. 0 trains everything.
        lora_alpha: of the updates' scale, lora_alpha / lora_rank.
        ema_decay: of an average of the weights that is validated and exported in their place; 0 for none.
        recompute: compute blocks again for their gradients, for less memory.
        compile: compile the blocks by torch.compile; where that does not work, one line says so.
        peak_tflops: of the machine, for the log's share of it that is used (mfu); 0 leaves it out.
        max_bad_batches: stop after this many batches in a row without a finite gradient.
        sampling: settings, per modality, that the exported model uses when a call names none.
        example_prompts: prompts that the exported model knows.
        fills: the data teach inpainting (data/transforms/inpainting.py): the model is shown the hole first.
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
        head: Head = "legal",
        attention: Backend = "sdpa",
        code_scale: float = 0.3,
        hide_text: float = 0.0,
        hide_image: float = 0.0,
        init_from: str | None = None,
        new_head: NewHead = "mean",
        new_words: bool = False,
        freeze_steps: int = 0,
        lora_rank: int = 0,
        lora_alpha: float = 16.0,
        ema_decay: float = 0.0,
        recompute: bool = False,
        compile: bool = False,
        peak_tflops: float = 0.0,
        max_bad_batches: int = 20,
        sampling: dict[str, Sampling] | None = None,
        example_prompts: Sequence[str] = (),
        fills: bool = False,
    ):
        super().__init__()
        if head not in COMPETITIONS:
            raise ValueError(f"head is one of {', '.join(COMPETITIONS)}, not {head!r}")
        if new_words and init_from is None:
            raise ValueError("new_words is for a model to start from: give model.init_from, or leave it out")
        self.sizes, self.optimizer_name, self.schedule = model, optimizer, schedule
        self.rates = rates(lr=lr, muon_lr=muon_lr)
        self.warmup_steps, self.weight_decay, self.betas, self.clip = warmup_steps, weight_decay, betas, clip
        self.weights = {"text": text_weight, "image": image_weight}
        self.head, self.attention, self.z_loss = head, attention, z_loss
        self.code_scale, self.hidden_shares = code_scale, {"text": hide_text, "image": hide_image}
        self.init_from, self.new_head, self.new_words = init_from, new_head, new_words
        self.freeze_steps = freeze_steps
        self.lora_rank, self.lora_alpha = lora_rank, lora_alpha
        self.ema_decay, self.recompute, self.compile_model = ema_decay, recompute, compile
        self.bad, self.speed = BadBatches(max_bad_batches), Speed(peak_tflops)
        self.sampling, self.example_prompts, self.fills = sampling, list(example_prompts), fills
        self.model: Transformer | None = None
        self.known: tuple[range, ...] = ()
        self.averaged: AveragedModel | None = None
        self.weight: Tensor | float = 0.0

    def without_effect(self) -> dict[str, str]:
        """Settings that do nothing beside the others, and why."""
        idle = {}
        if self.optimizer_name == "adamw":
            idle["muon_lr"] = "model.optimizer is adamw"
        if not self.lora_rank:
            idle["lora_alpha"] = "model.lora_rank is 0"
        if self.init_from is None:
            return idle | {"new_head": "model.init_from is not given"}
        sizes = {f"model.{field.name}" for field in fields(TransformerSizes)} - {"model.max_length"}
        return idle | dict.fromkeys((*sorted(sizes), "code_scale"), f"model.init_from is {self.init_from}")

    @property
    def codec(self) -> Codec:
        """That of the data."""
        return self.trainer.datamodule.codec

    def configure_model(self) -> None:
        if self.model is not None:
            return
        self._begin()
        self.model.packed_mask = packed_mask(self.attention, self.trainer.strategy.root_device)
        self.competition = COMPETITIONS[self.head](self.codec)
        if self.lora_rank:
            add_adapters(self.model, rank=self.lora_rank, alpha=self.lora_alpha)
        if self.ema_decay:  # before the blocks' forward is replaced, which a copy would share
            self.averaged = AveragedModel(self.model, multi_avg_fn=get_ema_multi_avg_fn(self.ema_decay))
            self.averaged.requires_grad_(False)
        if self.compile_model:
            compile_blocks(self.model.blocks, device=self.trainer.strategy.root_device)
        if self.recompute:
            recompute_blocks(self.model.blocks)
        if self.device_mesh is not None:
            if self.optimizer_name == "muon":
                raise ValueError("Muon needs whole matrices: shard them with model.optimizer=adamw")
            for model in {self.model, self.result}:
                shard(model, self.device_mesh)

    def _begin(self) -> None:
        """Make the model, with its first weights; `known` ids are those that need not be learned anew."""
        if self.init_from is None:
            self.model = Transformer(self._config(self.sizes))
            start_from_features(self.model, self.codec, scale=self.code_scale, kept=self._features)
            self.known = (range(self.codec.modalities["text"].size),)
            return
        origin = origin_of(self.init_from)
        self.model = Transformer(self._config(origin.sizes(max_length=self.sizes.max_length)))
        start = origin.start(self.model, self.codec, new_head=self.new_head, new_words=self.new_words)
        start_from_features(self.model, self.codec, scale=start.scale, known=start.known, kept=self._features)
        self.known = start.known

    @property
    def _features(self) -> Path:
        return Path(self.trainer.default_root_dir) / "code_features.safetensors"

    def _config(self, sizes: TransformerSizes) -> TransformerConfig:
        """The sizes with what the data say: how many ids there are, and which are images'."""
        words, images = self.codec.vocabulary, None
        if sizes.latest_image:
            if "image" not in words.modalities:
                raise ValueError(f"latest_image needs images; the data have {', '.join(words.modalities)}")
            if self.attention != "sdpa":
                raise ValueError(f"latest_image needs model.attention=sdpa, not {self.attention}")
            ids = words.ids("image")
            images = (ids.start, ids.stop)
        return TransformerConfig(vocab_size=words.size, images=images, **asdict(sizes))

    @property
    def result(self) -> Transformer:
        """The transformer that is validated and exported."""
        return self.model if self.averaged is None else self.averaged.module

    def configure_optimizers(self) -> torch.optim.Optimizer:
        optimizer = build_optimizer(
            self.model,
            name=self.optimizer_name,
            weight_decay=self.weight_decay,
            betas=self.betas,
            **self.rates,
        )
        return optimizer if self.device_mesh is None else begin_states(optimizer)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Raises ValueError where it is another run's."""
        check_fits(str(self.trainer.ckpt_path), checkpoint["state_dict"], self.state_dict())

    # -- one step

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        share = progress(self.trainer)
        when = {"share": share, "step": self.global_step, "warmup_steps": self.warmup_steps}
        set_rates(self.optimizers(), self.rates, kind=self.schedule, **when)

    @property
    def accumulate(self) -> int:
        """Batches of a step."""
        return self.trainer.accumulate_grad_batches

    def on_train_start(self) -> None:
        check_validations(self.trainer, setting="trainer.accumulate_grad_batches")

    def optimizer_step(self, *args, **options) -> None:
        """The average is part of the step, so that no checkpoint falls between the two."""
        super().optimizer_step(*args, **options)
        if self.averaged is not None:
            reshard(self.averaged.module)
            self.averaged.update_parameters(self.model)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Σ of the batch; the gradients are divided once the weight of the whole global batch is known."""
        number = self.trainer.fit_loop.epoch_loop.total_batch_idx
        ids = partly_hidden(batch.ids, self.codec.vocabulary, self.hidden_shares, number=number)
        sums = self.sums(batch._replace(ids=ids), batch)
        self.weight = self.weight + sums.weight
        self.speed.count(batch)
        if self._logs:
            self._log_sums(sums)
        return sums.total * (self.accumulate * self.trainer.world_size)

    def sums(self, batch: Batch, whole: Batch | None = None) -> LossSums:
        """The loss of a batch, as sums; `whole` is the batch with nothing hidden."""
        model = self.model if self.training else self.result
        targets, groups, among = self.competition.objective(whole or batch)
        document = None if batch.one_per_row else batch.document
        hidden = model(batch.ids, batch.positions, document=document)  # first: it gathers sharded weights
        return grouped_cross_entropy(
            model.unembedding.weight,
            hidden,
            targets,
            groups,
            among=among,
            weights=self.weights,
            z_loss=self.z_loss,
        )

    def configure_gradient_clipping(
        self, optimizer, gradient_clip_val=None, gradient_clip_algorithm=None
    ) -> None:
        """Divide the gradients by the global batch's weight and clip them; drop those that are not finite."""
        (weight,), self.weight = over_ranks([float(self.weight)], self.trainer), 0.0
        if self.lora_rank or self.global_step < self.freeze_steps:
            hold_old_rows(self.model, known=self.known)
        if self.global_step < self.freeze_steps:
            hold_blocks(self.model)
        gradients = [w.grad for w in self.model.parameters() if w.grad is not None]
        norm = whole(torch.nn.utils.get_total_norm(gradients)) / weight
        if torch.isfinite(norm):
            self.bad.end()
            torch._foreach_mul_(gradients, (self.clip / norm.clamp(min=self.clip) / weight).item())
        else:
            self._skip(f"gradient norm {norm.item()}" if weight > 0 else EMPTY)
        if self._logs:
            self.log("gradient_norm", norm)

    def _skip(self, what: str) -> None:
        for parameter in self.model.parameters():
            parameter.grad = None
        self.print(self.bad.skip(what, step=self.global_step))

    def on_train_end(self) -> None:
        """Raises ValueError where nothing was learned: then there is nothing to export."""
        self.bad.check()

    # -- the log

    @property
    def _logs(self) -> bool:
        return self.global_step % self.trainer.log_every_n_steps == 0

    def _log_sums(self, sums: LossSums) -> None:
        """The batch's loss, and the speed since the last line of the log."""
        self.log("loss", sums.mean.detach(), prog_bar=True)
        for name, value in batch_figures(sums).items():
            self.log(name, value, prog_bar=name in ("loss/text", "loss/image"))
        speed = self.speed.read(parameters=sum(weight.numel() for weight in self.model.blocks.parameters()))
        self.log("tokens_per_second", speed.pop("tokens_per_second"), prog_bar=True)
        self.log_dict(speed)
        self.log("lr", self.optimizers().param_groups[-1]["lr"])
        self.log("skipped_batches", float(self.bad.skipped))

    # -- validation

    def on_validation_epoch_start(self) -> None:
        self.bad.check()
        self.totals = Totals(("structure", *self.codec.modalities))

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self.totals.add(self.sums(batch))

    def on_validation_epoch_end(self) -> None:
        for name, value in self.totals.figures(self.trainer).items():
            self.log(name, value, prog_bar=name == "val/loss")

    # -- the result

    def bundle(self) -> UniTok:
        """The model with its codec, for use while it is trained; all processes take part."""
        model = merged(self.result) if self.lora_rank else gathered(self.result)
        return UniTok(
            model,
            self.codec,
            sampling=self.sampling,
            example_prompts=self.example_prompts,
            chat=self.trainer.datamodule.chat,
            fills=self.fills,
        )

    refuse_foreign = staticmethod(refuse_foreign)

    def export(self, directory: str) -> None:
        """Write the model's folder; all processes take part, one writes."""
        bundle = self.bundle()
        if self.trainer.is_global_zero:
            bundle.save_pretrained(directory)
