"""The transformer. In reading order:

transformer         The decoder-only transformer: a pure function of ids, positions and cache
transformer_config  Sizes of a transformer, and where its blocks differ from Qwen3's
attention           Grouped-query attention with QK-norm per head and rotary positions
feed_forward        The gated feed-forward layer of a block
softmax_attention   Softmax attention under a mask, by the fastest way for a device
cross_attention     Gated cross-attention to the vectors of images
bidirectional       Attention in both directions inside parts of a document: its prefix, or each image
rotary              Rotary position embedding with three axes (time, row, column)
kv_cache            A preallocated KV cache
attention_backends  FlexAttention and xformers for attention inside packed documents on GPUs
latest_image_mask   A mask by which text attends only to the most recent image (Flamingo,
                    arXiv:2204.14198, section 2.3)
cross_entropy       The training loss: cross-entropy among the ids that are legal at each position
kinds               The registry of parts of networks that configurations name
sizes               Bounds of the sizes in a configuration, and the error for one outside them
weights             Reads and checks safetensors files
image_tokenizer/    Image tokenizers: VQ-VAE, VQGAN, ViT, with every kind of codebook
vision/             Encoders of images that are shown, and bridges to the transformer
cpu/                The same results, faster on a CPU
"""
