"""Encoders of images that are shown, bridges to the transformer, updates of its matrices. In reading order:

encoder          The Encoder interface, and its kinds: latents of the image tokenizer, pixels, a network
fused            Several encoders of one image, fused by channel (Prismatic)
bridge           The Bridge interface, and its kinds: a projector of places or squares (LLaVA, InternVL)
query_attention  What bridges of queries share: attention to a tile's vectors, and their places
resampler        A bridge of queries: the Perceiver resampler (Flamingo)
qformer          A bridge of queries: the Q-Former (BLIP-2)
bridge_weights   The weights with which a bridge starts, from a file of a bridge or of a whole model
visual_lora      Low-rank updates of matrices that only the vectors of images see
sight            How a model sees the images that it is shown, and who sees whom, in words
"""
