"""Pipelines by the names and arguments of transformers and diffusers. In reading order:

base      What all pipelines share: a model, where it is, settings by other names
reading   Pipelines of transformers: text about images, and any content after any other
drawing   Pipelines of diffusers: images from texts and images
pipeline  The function `pipeline`, and the tasks it knows
"""
