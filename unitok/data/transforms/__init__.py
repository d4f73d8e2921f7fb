"""Transformed sources. In reading order:

augment     Augmentation: mirrored and shifted images, and their boxes with them
resize      Resizing: one size for all images, or buckets of aspect ratios
inpainting  Documents for inpainting: the image with a hole, its caption, the whole image
"""
