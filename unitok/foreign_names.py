"""Names of transformers and diffusers that have no counterpart here, each with what to use instead."""

from collections.abc import Iterable

ARGUMENTS = {
    "num_beams": "there is no beam search; best_of of draw reranks samples",
    "num_return_sequences": "give the prompt several times, or n to draw",
    "max_length": "use max_new_tokens",
    "min_new_tokens": "a text ends where the model ends it; use max_new_tokens",
    "repetition_penalty": "use temperature and top_p",
    "input_ids": "prompts are encoded here; give texts, messages or documents",
    "attention_mask": "prompts are encoded here; give texts, messages or documents",
    "pixel_values": "images are encoded here; give PIL images, paths or arrays",
    "generation_config": "give its fields as arguments",
    "num_inference_steps": "an image has as many steps as cells; leave it out",
    "eta": "there is no diffusion noise; use temperature",
    "latents": "use generator",
    "prompt_embeds": "give the prompt as text",
    "padding_mask_crop": "crop the image and its mask",
    "callback": "use callback_on_step_end",
    "attn_implementation": "attention is chosen by the device; leave it out",
    "quantization_config": "weights are not quantised; use dtype=torch.bfloat16",
    "load_in_4bit": "weights are not quantised; use dtype=torch.bfloat16",
    "load_in_8bit": "weights are not quantised; use dtype=torch.bfloat16",
    "trust_remote_code": "a model's folder holds no code; leave it out",
    "low_cpu_mem_usage": "leave it out",
    "use_safetensors": "all weights are safetensors; leave it out",
    "variant": "use dtype",
    "safety_checker": "there is none; leave it out",
    "tokenizer": "the model has its own; leave it out",
    "processor": "the model has its own; leave it out",
    "image_processor": "the model has its own; leave it out",
}
ATTRIBUTES = {
    "cuda": "use to('cuda')",
    "cpu": "use to('cpu')",
    "half": "use to(torch.float16)",
    "bfloat16": "use to(torch.bfloat16)",
    "float": "use to(torch.float32)",
    "parameters": "the transformer is the torch module `model`; use model.model.parameters()",
    "state_dict": "the transformer is the torch module `model`; use model.model.state_dict()",
    "train": "models are trained by `unitok train` and `unitok train-model`",
    "forward": "use generate for new segments, score for likelihoods",
    "tokenizer": "prompts are encoded by generate; the text tokenizer is model.codec.modalities['text']",
    "generation_config": "use `sampling`, the default settings of each modality",
    "push_to_hub": "save_pretrained writes a folder, which `hf upload` uploads",
    "apply_chat_template": "generate takes messages as they are",
    "set_progress_bar_config": "there is no progress bar; leave it out",
    "enable_model_cpu_offload": "the model lies on one device; use to(device)",
    "enable_sequential_cpu_offload": "the model lies on one device; use to(device)",
    "enable_attention_slicing": "attention needs no slicing; leave it out",
    "enable_xformers_memory_efficient_attention": "attention is chosen by the device; leave it out",
    "enable_vae_slicing": "leave it out",
    "enable_vae_tiling": "leave it out",
    "load_lora_weights": "`unitok train-model` merges LoRA into the weights that it exports",
    "scheduler": "there is no diffusion scheduler; use temperature, top_k and top_p",
    "unet": "the transformer is `model.model`",
    "vae": "the image tokenizer is `model.codec.image.tokenizer`",
}


def unknown_arguments(names: Iterable[str], *, known: Iterable[str]) -> ValueError:
    """The error for arguments that a call does not take: what to use instead, or those that it takes."""
    names = sorted(names)
    for name in names:
        if name in ARGUMENTS:
            return ValueError(f"{name} has no counterpart here: {ARGUMENTS[name]}")
    return ValueError(f"unknown setting {', '.join(names)}; known: {', '.join(known)}")


def missing_attribute(owner: object, name: str) -> AttributeError:
    """The error for an attribute that an object does not have, with what to use instead if that is known."""
    hint = f": {ATTRIBUTES[name]}" if name in ATTRIBUTES else ""
    return AttributeError(f"{type(owner).__name__} has no {name!r}{hint}", name=name, obj=owner)
