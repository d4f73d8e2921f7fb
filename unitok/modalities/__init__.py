"""From content to codes and back. In reading order:

base           The Modality interface: content to local codes and back, and the grammar of its segments
kinds          The registry of modalities, by the names of their classes
text           Text as byte-level BPE codes
image          Images as the codes of a trained image tokenizer
vision         What an encoder sees of the images that a model is shown
vision_folder  The folder of a vision alone: encoder and bridge, without a transformer
image_tiles    Images as tiles of one size: how many, in which arrangement, and their pixels
bins           Rows of numbers as the indices of bins, a fixed number of codes
location_bins  Bounding boxes and points as location bins: a fixed number of codes each
actions        Actions of vision-language-action models: chunks of steps as bins per axis
geometry       Boxes and points in an image, and their textual form
image_masks    Masks for inpainting: pixels to free cells, known codes, the image with its hole
"""
