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
from unitok.training.metrics import Speed, Totals, batch_figures, sum_over_ranks
from unitok.training.optimizers import OptimizerName, build_optimizer, init_states, learning_rates
from unitok.training.run.bad_batches import EMPTY, BadBatches
from unitok.training.run.resume_check import check_fits
from unitok.training.run.whole_steps import check_validations
from unitok.training.schedule import ScheduleKind, progress, set_learning_rates
from unitok.training.targets import COMPETITIONS, Head
from unitok.training.token_dropout import drop_tokens
from unitok.training.weights.init_embeddings import NewHead, init_from_features
from unitok.training.weights.init_from import open_origin
from unitok.training.weights.lora import add_adapters, freeze_blocks, freeze_known_rows, merge_adapters
from unitok.training.weights.parallelize import (
    compile_blocks,
    full_tensor,
    gather_weights,
    recompute_blocks,
    reshard,
    shard,
)


class TransformerTraining(LightningModule):
    """Next-id training: Σ weight · (cross-entropy + z-loss) / Σ weight over a global batch's learned tokens.

    The data module provides the vocabulary.

    Args:
        model: sizes of the transformer.
        lr: peak learning rate of AdamW.
        muon_lr: peak learning rate of Muon, for the matrices of the blocks.
        optimizer: "muon" (with AdamW on all other weights) or "adamw" alone.
        warmup_steps: steps of linear warm-up.
        schedule: cosine, linear, wsd or constant.
        weight_decay: of the blocks' matrices.
        betas: of AdamW.
        clip: maximum gradient norm.
        text_weight: of text tokens in the loss.
        image_weight: of image tokens in the loss.
        z_loss: coefficient of logsumexp² of the logits.
        head: "legal": a target competes with the ids that are legal at its position; "full": with all ids,
            and forced ids are learned too, for inference engines without constrained decoding.
        attention: attention backend: sdpa everywhere, flex or xformers on CUDA; all give the same output, and
            sdpa replaces one that is missing.
        code_scale: root mean square of the code embeddings where they are initialised from code features.
        hide_text: token dropout: share of input ids (never targets) hidden in texts that follow another
            segment, so that the model leans on that segment rather than on the previous words. A document's
            first segment stays whole: a prompt with holes would describe other images.
        hide_image: the same share for image codes.
        init_from: model folder to start from: one that this script exported, with its two tokenizers, or a
            transformers folder of a Qwen3 or Llama model; data.text_tokenizer must then be its
            tokenizer.json. Its sizes replace those of `model`, except max_length.
        new_head: initial head rows of new ids when starting from a model: "mean" of the text rows, or "zero".
        new_words: whether the data have their own text tokenizer although init_from is a UniTok folder; each
            new code starts as the mean of the codes that the old tokenizer gives its text.
        freeze_steps: steps in which only the rows of new ids are trained.
        lora_rank: train updates of this rank instead of the blocks' matrices, and the rows of new ids; they
            are merged in the exported model. 0 trains everything.
        lora_alpha: scale of the updates, as lora_alpha / lora_rank.
        ema_decay: of a moving average of the weights, which is validated and exported instead; 0 for none.
        recompute: activation checkpointing: recompute the blocks in the backward pass to save memory.
        compile: compile the blocks with torch.compile; a warning is logged where that does not work.
        peak_tflops: of the machine, to log the share in use (mfu); 0 does not log it.
        max_bad_batches: stop after this many batches in a row without a finite gradient.
        sampling: default sampling settings of the exported model, by modality.
        example_prompts: example prompts stored in the exported model.
        fills: whether the data teach inpainting (data/transforms/inpainting.py), with the hole shown first.
    """

    def __init__(
        self,
        model: TransformerSizes,
        *,
        lr: float = 3e-3,
        muon_lr: float = 0.02,
        optimizer: OptimizerName = "muon",
        warmup_steps: int = 50,
        schedule: ScheduleKind = "linear",
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
            raise ValueError(f"head must be one of {', '.join(COMPETITIONS)}, got {head!r}")
        if new_words and init_from is None:
            raise ValueError("new_words needs model.init_from, the model to start from")
        self.sizes, self.optimizer_name, self.schedule = model, optimizer, schedule
        self.rates = learning_rates(lr=lr, muon_lr=muon_lr)
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
        self.known_ids: tuple[range, ...] = ()
        self.averaged: AveragedModel | None = None
        self.weight: Tensor | float = 0.0

    def ineffective_settings(self) -> dict[str, str]:
        """Settings that the other settings make ineffective, with the reason."""
        unused = {}
        if self.optimizer_name == "adamw":
            unused["muon_lr"] = "model.optimizer is adamw"
        if not self.lora_rank:
            unused["lora_alpha"] = "model.lora_rank is 0"
        if self.init_from is None:
            return unused | {"new_head": "model.init_from is not given"}
        sizes = {f"model.{field.name}" for field in fields(TransformerSizes)} - {"model.max_length"}
        return unused | dict.fromkeys((*sorted(sizes), "code_scale"), f"model.init_from is {self.init_from}")

    @property
    def codec(self) -> Codec:
        """The data module's codec."""
        return self.trainer.datamodule.codec

    def configure_model(self) -> None:
        if self.model is not None:
            return
        self._build_model()
        self.model.packed_mask = packed_mask(self.attention, self.trainer.strategy.root_device)
        self.competition = COMPETITIONS[self.head](self.codec)
        if self.lora_rank:
            add_adapters(self.model, rank=self.lora_rank, alpha=self.lora_alpha)
        if self.ema_decay:  # before the blocks' forward is replaced: the copy would share the replacement
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

    def _build_model(self) -> None:
        """Builds the model with its initial weights; `known_ids` have trained rows already."""
        cache = Path(self.trainer.default_root_dir) / "code_features.safetensors"
        if self.init_from is None:
            self.model = Transformer(self._config(self.sizes))
            init_from_features(self.model, self.codec, scale=self.code_scale, cache=cache)
            self.known_ids = (range(self.codec.modalities["text"].size),)
            return
        origin = open_origin(self.init_from)
        self.model = Transformer(self._config(origin.sizes(max_length=self.sizes.max_length)))
        start = origin.start(self.model, self.codec, new_head=self.new_head, new_words=self.new_words)
        self.known_ids = start.known_ids
        init_from_features(self.model, self.codec, scale=start.scale, known_ids=start.known_ids, cache=cache)

    def _config(self, sizes: TransformerSizes) -> TransformerConfig:
        """Adds to the sizes what the data determine: the vocabulary's size and the ids of images."""
        vocabulary, images = self.codec.vocabulary, None
        if sizes.latest_image:
            if "image" not in vocabulary.modalities:
                modalities = ", ".join(vocabulary.modalities)
                raise ValueError(f"latest_image needs data with images, got data of {modalities}")
            if self.attention != "sdpa":
                raise ValueError(f"latest_image needs model.attention=sdpa, got {self.attention}")
            ids = vocabulary.ids("image")
            images = (ids.start, ids.stop)
        return TransformerConfig(vocab_size=vocabulary.size, images=images, **asdict(sizes))

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
        return optimizer if self.device_mesh is None else init_states(optimizer)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Raises ValueError if the checkpoint belongs to a run with another model."""
        check_fits(str(self.trainer.ckpt_path), checkpoint, self.state_dict())

    # -- one step

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        share = progress(self.trainer)
        moment = {"share": share, "step": self.global_step, "warmup_steps": self.warmup_steps}
        set_learning_rates(self.optimizers(), self.rates, kind=self.schedule, **moment)

    @property
    def accumulate(self) -> int:
        """Batches per optimizer step."""
        return self.trainer.accumulate_grad_batches

    def on_train_start(self) -> None:
        check_validations(self.trainer, setting="trainer.accumulate_grad_batches")

    def optimizer_step(self, *args, **options) -> None:
        """Update the moving average within the step, so that no checkpoint falls between the two."""
        super().optimizer_step(*args, **options)
        if self.averaged is not None:
            reshard(self.averaged.module)
            self.averaged.update_parameters(self.model)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Returns the batch's summed loss; gradients are divided once the global batch's weight is known."""
        number = self.trainer.fit_loop.epoch_loop.total_batch_idx
        ids = drop_tokens(batch.ids, self.codec.vocabulary, self.hidden_shares, number=number)
        sums = self.sums(batch._replace(ids=ids), batch)
        self.weight = self.weight + sums.weight
        self.speed.count(batch)
        if self._logs_step:
            self._log_sums(sums)
        return sums.total * (self.accumulate * self.trainer.world_size)

    def sums(self, batch: Batch, complete: Batch | None = None) -> LossSums:
        """The loss of a batch, as sums; `complete` is the batch without token dropout."""
        model = self.model if self.training else self.result
        targets, groups, among = self.competition.objective(complete or batch)
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
        (weight,), self.weight = sum_over_ranks([float(self.weight)], self.trainer), 0.0
        if self.lora_rank or self.global_step < self.freeze_steps:
            freeze_known_rows(self.model, known_ids=self.known_ids)
        if self.global_step < self.freeze_steps:
            freeze_blocks(self.model)
        gradients = [w.grad for w in self.model.parameters() if w.grad is not None]
        norm = full_tensor(torch.nn.utils.get_total_norm(gradients)) / weight
        if torch.isfinite(norm):
            self.bad.count_good()
            torch._foreach_mul_(gradients, (self.clip / norm.clamp(min=self.clip) / weight).item())
        else:
            self._skip(f"gradient norm {norm.item()}" if weight > 0 else EMPTY)
        if self._logs_step:
            self.log("gradient_norm", norm)

    def _skip(self, reason: str) -> None:
        for parameter in self.model.parameters():
            parameter.grad = None
        self.print(self.bad.skip(reason, step=self.global_step))

    def on_train_end(self) -> None:
        """Raises ValueError if every batch was skipped: then there is nothing to export."""
        self.bad.check()

    # -- the log

    @property
    def _logs_step(self) -> bool:
        """Whether this step is logged."""
        return self.global_step % self.trainer.log_every_n_steps == 0

    def _log_sums(self, sums: LossSums) -> None:
        """Log the batch's loss, and the speed since the last logged step."""
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

    # -- export

    def model_with_codec(self) -> UniTok:
        """The model with its codec, for inference during training; collective over all processes."""
        transformer = merge_adapters(self.result) if self.lora_rank else gather_weights(self.result)
        return UniTok(
            transformer,
            self.codec,
            sampling=self.sampling,
            example_prompts=self.example_prompts,
            chat=self.trainer.datamodule.chat,
            fills=self.fills,
        )

    refuse_foreign = staticmethod(refuse_foreign)

    def export(self, directory: str) -> None:
        """Write the model's folder from one process; all processes must call it."""
        model = self.model_with_codec()
        if self.trainer.is_global_zero:
            model.save_pretrained(directory)
