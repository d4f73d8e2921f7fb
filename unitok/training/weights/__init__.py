"""Weights before the first step. In reading order:

parts            The parts of a model that a stage of training trains
init_from        Warm start and fine-tuning (`init_from`): from a folder of ours, or a language model
init_embeddings  Initialises embeddings of codes from their features
sizes_for_data   Completes the sizes of a transformer by its data, and refuses those that do not fit
lora             LoRA (Hu et al., arXiv:2106.09685): low-rank updates of frozen weights, by peft
parallelize      FSDP over processes, torch.compile and activation checkpointing of a model's blocks
"""
