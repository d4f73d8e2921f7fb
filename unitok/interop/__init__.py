"""Weights of other projects, in and out. In reading order:

formats              Registry of readable tokenizer formats; each is imported on demand
files                Reads tensors from other projects' files without running code in them
vqgan                VQGAN weights by taming's names to ours; sizes are inferred from the tensors
taming               VQGAN checkpoints of taming-transformers (.ckpt), and Chameleon's vqgan.ckpt
llamagen             LlamaGen's VQ checkpoints (.pt), and those of the first Janus: a codebook of unit vectors
chameleon            The VQ model of a transformers Chameleon folder: an encoder without a decoder
emu3                 The VQ model of a transformers Emu3 folder
janus                The VQ model of a transformers Janus folder
language/            Language models of transformers, in and out
transformers_export  Exports a trained model as a folder for transformers, vLLM and others
llava_export         A model that sees through a Projector, as LLaVA of transformers
processor_files      Files by which AutoProcessor prepares texts and images for an exported model that sees
grammar_processor    A logits processor that keeps an exported model to the grammar, without unitok
vision/              Encoders and bridges of transformers' folders: SigLIP, DINOv2, LLaVA and others
pipelines/           Pipelines by the names and arguments of transformers and diffusers
"""
