"""Vision encoders and bridges of transformers' folders. In reading order:

image_processor  What a folder's preprocessor_config.json does to an image, with Pillow
families         The families of vision towers that can be read, and the states that they give
towers           The vision tower of a folder: its part of config.json and of the tensors
pretrained       An encoder from a folder: CLIP, SigLIP, DINOv2, or the tower of a whole model
bridges          Vision folders of whole models: the encoder, and the bridge's weights by our names
"""
