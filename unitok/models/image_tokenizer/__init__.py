"""From pixels to codebook indices and back. In reading order:

image_tokenizer    The image tokenizer, a VQ-VAE: pixels to a grid of codebook indices and back
folder             The folder of an image tokenizer: its configuration as JSON, and its weights
architecture       The Architecture interface: an encoder and a decoder around the codes
patch              The fast architecture for small budgets: all layers work on the grid of codes
vqgan              The convolutional architecture of VQGAN (arXiv:2012.09841), which taming, LlamaGen,
                   Chameleon and Janus share
vit                The transformer architecture of ViT-VQGAN and Parti (arXiv:2110.04627, 2206.10789)
emu3               Emu3's architecture (arXiv:2409.18869), a VQGAN for clips: an image is the clip that
                   repeats it
quantizer          The Quantizer interface: latents to codes and back, for every kind of codebook
vector_quantizers  Codebooks of vectors: EMA codebook, learned codebook, SimVQ, residual codebooks, Janus
lookup_free        FSQ and LFQ: codes are levels or signs of the latents, without a codebook of vectors
pixel_loss         The likelihood of pixels given a reconstruction, and PSNR
loss_terms         Further terms of a tokenizer's objective: LPIPS and multi-scale gradients
discriminator      The PatchGAN discriminator and its losses
tiles              Encodes and decodes large images tile by tile, in constant memory
"""
