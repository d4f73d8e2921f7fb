"""Trains a transformer on packed documents: loss, optimizer, log. Knows no pixels and no letters."""

from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from unitok.api.learned_tasks import LearnedTask, inherit
from unitok.api.model_card import record_tasks
from unitok.api.model_folder import refuse_foreign
from unitok.api.unitok import UniTok
from unitok.data.batches.packing import IGNORED, Batch
from unitok.generation.sampling import Sampling
from unitok.modalities.kinds import STRUCTURE
from unitok.models.attention_backends import packed_mask
from unitok.models.bidirectional import prefix_of
from unitok.models.cross_entropy import LossSums, grouped_cross_entropy
from unitok.models.transformer import Transformer, TransformerConfig, TransformerSizes
from unitok.models.transformer_config import OWN_SIGHT, BlockVariant
from unitok.tokens.codec import Codec
from unitok.training.cores.freed_memory import keep_freed_memory
from unitok.training.cores.processes import choose_processes, share_rows
from unitok.training.cores.row_shares import RowShares, WholeBatch
from unitok.training.cores.workers import start_autograd
from unitok.training.loss_config import LossConfig
from unitok.training.metrics import Speed, Totals, batch_figures, sum_over_ranks
from unitok.training.optimizers import OptimizerConfig, build_optimizer, init_states
from unitok.training.run.bad_batches import EMPTY, BadBatches
from unitok.training.run.budget import repays_compiling
from unitok.training.run.forgetting import Forgetting
from unitok.training.run.log_steps import logs_step
from unitok.training.run.resume_check import check_fits
from unitok.training.run.whole_steps import check_validations
from unitok.training.schedule import progress
from unitok.training.targets import COMPETITIONS, learned_places
from unitok.training.token_dropout import drop_tokens
from unitok.training.weights.init_embeddings import init_from_features, scale_bridge
from unitok.training.weights.init_from import StartConfig, open_origin
from unitok.training.weights.lora import (
    LoraConfig,
    add_adapters,
    freeze_blocks,
    freeze_known_rows,
    merge_adapters,
)
from unitok.training.weights.parallelize import (
    ComputeConfig,
    compile_blocks,
    full_tensor,
    gather_weights,
    recompute_blocks,
    reshard,
    shard,
)
from unitok.training.weights.parts import TrainedParts
from unitok.training.weights.sizes_for_data import config_for

VARIANT = "sizes.variant"


class TransformerTraining(LightningModule):
    """Next-id training: Σ weight · (cross-entropy + z-loss) / Σ weight over a global batch's learned tokens.

    The data module provides the vocabulary.

    Args:
        sizes: width, layers, heads and longest document.
        optimizer: optimizer, schedule and clipping.
        loss: weights and token dropout by modality, z-loss, competing ids.
        start: initial weights: from scratch, or of another model.
        lora: low-rank updates in place of the blocks' matrices.
        compute: attention backend, compilation, activation checkpointing.
        ema_decay: of a moving average of the weights, which is validated and exported instead; 0 for none.
        text_weight: short for loss.weights.text, which it replaces.
        image_weight: short for loss.weights.image, which it replaces.
        sampling: default sampling settings of the exported model, by modality.
        example_prompts: example prompts stored in the exported model.
        fills: whether the data teach inpainting (data/transforms/inpainting.py), with the hole shown first.
    """

    MONITOR = "val/error"
    """Of its validations, by which the exported weights are chosen. A loss rises while captions still become
    better: a model that learns images by heart is sure of itself where it is wrong."""

    def __init__(
        self,
        sizes: TransformerSizes,
        *,
        optimizer: OptimizerConfig = OptimizerConfig(),  # noqa: B008 (all of these are frozen)
        loss: LossConfig = LossConfig(),  # noqa: B008
        start: StartConfig = StartConfig(),  # noqa: B008
        lora: LoraConfig = LoraConfig(),  # noqa: B008
        compute: ComputeConfig = ComputeConfig(),  # noqa: B008
        ema_decay: float = 0.0,
        text_weight: float | None = None,
        image_weight: float | None = None,
        sampling: dict[str, Sampling] | None = None,
        example_prompts: Sequence[str] = (),
        fills: bool = False,
    ):
        super().__init__()
        short = {"text": text_weight, "image": image_weight}
        given = {name: weight for name, weight in short.items() if weight is not None}
        self.sizes, self.optimizer_config = sizes, optimizer
        self.loss_config = replace(loss, weights=loss.weights | given)
        self.start_config, self.lora_config, self.compute_config = start, lora, compute
        self.ema_decay = ema_decay
        self.bad, self.speed = BadBatches(optimizer.max_bad_batches), Speed(compute.peak_tflops)
        self.sampling, self.example_prompts, self.fills = sampling, list(example_prompts), fills
        self.model: Transformer | None = None
        self.known_ids: tuple[range, ...] = ()
        self.earlier_tasks: tuple[LearnedTask, ...] | None = ()
        self.averaged: AveragedModel | None = None
        self.compiled = False
        self.rows: WholeBatch | RowShares = WholeBatch(self.sums)
        self.processes = compute.processes
        self.weight: Tensor | float = 0.0

    def ineffective_settings(self) -> dict[str, str]:
        """Settings that the other settings make ineffective, with the reason."""
        unused, origin = self.optimizer_config.ineffective(), self.start_config.init_from
        if not self.lora_config.rank:
            unused["lora.alpha"] = "model.lora.rank is 0"
        if origin is None:
            idle = ("start.new_head", "start.origin_data", "start.origin_suite")
            return unused | dict.fromkeys(idle, "model.start.init_from is not given")
        sizes = {f"sizes.{field.name}" for field in fields(TransformerSizes)} - {"sizes.max_length", VARIANT}
        variant = {f"{VARIANT}.{field.name}" for field in fields(BlockVariant)}
        idle = {*sizes, *variant - {f"{VARIANT}.{name}" for name in OWN_SIGHT}, "start.code_scale"}
        return unused | dict.fromkeys(sorted(idle), f"model.start.init_from is {origin}")

    @property
    def codec(self) -> Codec:
        """The data module's codec."""
        return self.trainer.datamodule.codec

    def configure_callbacks(self) -> list[Callback]:
        """A run that starts from another model tells what it forgets of it."""
        return [] if self.start_config.init_from is None else [Forgetting(self.start_config)]

    def configure_model(self) -> None:
        if self.model is not None:
            return
        compute, device = self.compute_config, self.trainer.strategy.root_device
        self.loss_config.check_modalities([STRUCTURE, *self.codec.modalities])
        self._build_model()
        self.parts = TrainedParts(self.start_config.parts, self.model, known_ids=self.known_ids)
        self.parts.freeze(self.model)
        self.model.packed_mask = packed_mask(compute.attention, device)
        self.competition = COMPETITIONS[self.loss_config.head](self.codec)
        if self.lora_config.rank:
            add_adapters(self.model, self.lora_config)
        if self.ema_decay:  # before the blocks' forward is replaced: the copy would share the replacement
            self.averaged = AveragedModel(self.model, multi_avg_fn=get_ema_multi_avg_fn(self.ema_decay))
            self.averaged.requires_grad_(False)
        start_autograd()
        if compute.compile and repays_compiling(self.trainer):
            self.compiled = compile_blocks(self.model.blocks, device=device)
        if compute.recompute:
            recompute_blocks(self.model.blocks)
        if self.device_mesh is not None:
            if self.optimizer_config.name == "muon":
                raise ValueError("Muon needs whole matrices: shard them with model.optimizer.name=adamw")
            for model in {self.model, self.result}:
                shard(model, self.device_mesh)

    def _build_model(self) -> None:
        """Builds the model with its initial weights; `known_ids` have trained rows already."""
        cache = Path(self.trainer.default_root_dir) / "code_features.safetensors"
        config = self.start_config
        if config.init_from is None:
            self.model = Transformer(self._config(self.sizes), self.codec.build_bridge)
            scale_bridge(self.model, config.code_scale)
            init_from_features(self.model, self.codec, scale=config.code_scale, cache=cache)
            self.known_ids = (range(self.codec.modalities["text"].size),)
            return
        origin = open_origin(config.init_from)
        sizes = self.sizes.with_own_sight(origin.sizes(max_length=self.sizes.max_length))
        self.model = Transformer(self._config(sizes), self.codec.build_bridge)
        start = origin.start(self.model, self.codec, new_head=config.new_head, new_words=config.new_words)
        self.known_ids, self.earlier_tasks = start.known_ids, start.tasks
        init_from_features(self.model, self.codec, scale=start.scale, known_ids=start.known_ids, cache=cache)

    def _config(self, sizes: TransformerSizes) -> TransformerConfig:
        """The sizes with what the data determine."""
        answers, attention = self.trainer.datamodule.task.answers, self.compute_config.attention
        return config_for(sizes, self.codec, answers=answers, attention=attention)

    @property
    def result(self) -> Transformer:
        """The transformer that is validated and exported."""
        return self.model if self.averaged is None else self.averaged.module

    def configure_optimizers(self) -> torch.optim.Optimizer:
        optimizer = build_optimizer(self.model, self.optimizer_config)
        return optimizer if self.device_mesh is None else init_states(optimizer)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Raises ValueError if the checkpoint belongs to a run with another model."""
        check_fits(str(self.trainer.ckpt_path), checkpoint, self.state_dict())
        self.processes = self.processes or checkpoint.get("processes", 1)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what else decides the bits of a resumed run."""
        checkpoint["processes"] = self.rows.processes

    # -- one step

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        share = progress(self.trainer)
        self.optimizer_config.set_rates(self.optimizers(), share=share, step=self.global_step)

    @property
    def accumulate(self) -> int:
        """Batches per optimizer step."""
        return self.trainer.accumulate_grad_batches

    def on_train_start(self) -> None:
        check_validations(self.trainer, setting="trainer.accumulate_grad_batches")
        keep_freed_memory()
        processes = choose_processes(
            self.processes,
            device=self.trainer.strategy.root_device,
            world_size=self.trainer.world_size,
            has_bridge=self.model.bridge is not None,
        )
        optimizer, plugin = self.optimizers().optimizer, self.trainer.precision_plugin
        if processes > 1:
            self.rows = share_rows(
                processes, self.sums, self.model, optimizer, precision=plugin.train_step_context
            )

    def on_train_end(self) -> None:
        """Raises ValueError if every batch was skipped: then there is nothing to export."""
        self.rows.close()
        self.bad.check()

    def backward(self, loss: Tensor, *args, **options) -> None:
        super().backward(loss, *args, **options)
        self.rows.add_gradients()

    def optimizer_step(self, *args, **options) -> None:
        """Update the moving average within the step, so that no checkpoint falls between the two."""
        super().optimizer_step(*args, **options)
        if self.averaged is not None:
            reshard(self.averaged.module)
            self.averaged.update_parameters(self.model)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Returns the batch's summed loss; gradients are divided once the global batch's weight is known."""
        number = self.trainer.fit_loop.epoch_loop.total_batch_idx
        ids = drop_tokens(batch.ids, self.codec.vocabulary, self.loss_config.token_dropout, number=number)
        sums = self.rows.sums(batch._replace(ids=ids), batch)
        self.weight = self.weight + sums.weight
        self.speed.count(batch)
        if logs_step(self.trainer):
            self._log_sums(sums)
        return sums.total * (self.accumulate * self.trainer.world_size)

    def sums(self, batch: Batch, complete: Batch | None = None) -> LossSums:
        """The loss of a batch, as sums; `complete` is the batch without token dropout."""
        model = self.model if self.training else self.result
        targets, groups, among = self.competition.objective(complete or batch)
        document = None if batch.one_per_row else batch.document
        shown = {} if model.bridge is None else {"tiles": self._tiles(batch)}
        if model.number_parts is not None:
            shown["prefix"] = prefix_of(batch.targets != IGNORED, batch.document)
        places = learned_places(targets)
        # first: it gathers sharded weights
        hidden = model(batch.ids, batch.positions, document=document, places=places, **shown)
        return grouped_cross_entropy(
            model.unembedding.weight,
            hidden,
            targets if places is None else targets.flatten()[places],
            groups,
            among=among,
            weights=self.loss_config.weights,
            z_loss=self.loss_config.z_loss,
        )

    def _tiles(self, batch: Batch) -> Tensor:
        """The images of a batch; a blank one where there is none, so that all ranks run the bridge."""
        return self.codec.vision.tile.to(batch.ids.device) if batch.tiles is None else batch.tiles

    def configure_gradient_clipping(
        self, optimizer, gradient_clip_val=None, gradient_clip_algorithm=None
    ) -> None:
        """Divide the gradients by the global batch's weight and clip them; drop those that are not finite."""
        (weight,), self.weight = sum_over_ranks([float(self.weight)], self.trainer), 0.0
        frozen = self.global_step < self.start_config.freeze_steps
        if self.lora_config.rank or frozen:
            freeze_known_rows(self.model, known_ids=self.known_ids)
        if frozen:
            freeze_blocks(self.model)
        self.parts.freeze_rows(self.model)
        gradients = [w.grad for w in self.model.parameters() if w.grad is not None]
        norm = full_tensor(torch.nn.utils.get_total_norm(gradients)) / weight
        clip = self.optimizer_config.clip
        if torch.isfinite(norm):
            self.bad.count_good()
            torch._foreach_mul_(gradients, (clip / norm.clamp(min=clip) / weight).item())
        else:
            self._skip(f"gradient norm {norm.item()}" if weight > 0 else EMPTY)
        if logs_step(self.trainer):
            self.log("gradient_norm", norm)

    def _skip(self, reason: str) -> None:
        for parameter in self.model.parameters():
            parameter.grad = None
        self.print(self.bad.skip(reason, step=self.global_step))

    # -- the log

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
        self.totals = Totals((STRUCTURE, *self.codec.modalities))

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self.totals.add(self.sums(batch))

    def on_validation_epoch_end(self) -> None:
        self.log("step", float(self.global_step))
        for name, value in self.totals.figures(self.trainer).items():
            self.log(name, value, prog_bar=name == "val/loss")

    # -- export

    def model_with_codec(self) -> UniTok:
        """The model with its codec, for inference during training; collective over all processes."""
        transformer = merge_adapters(self.result) if self.lora_config.rank else gather_weights(self.result)
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
        """Write the model's folder, then what it learned, from one process; all processes must call it."""
        model = self.model_with_codec()
        if self.trainer.is_global_zero:
            model.save_pretrained(directory)  # first: no fault of the data must lose the weights
            weights = self.loss_config.weights
            learn = [name for name in self.codec.modalities if weights.get(name, 1.0) > 0]
            shown = self.trainer.datamodule.learned_tasks(learn=learn)
            tasks = inherit(shown, self.earlier_tasks)
            if tasks:
                record_tasks(directory, tasks)
