"""Encoders of images that are shown, and bridges to the transformer. In reading order:

encoder  The Encoder interface, and its kinds: latents of the image tokenizer, patches of pixels, a network
bridge   The Bridge interface, and its kinds: a projector of each place (LLaVA)
"""
