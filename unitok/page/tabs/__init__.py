"""The tabs of the web page. In reading order:

draw      The Draw tab: images from a prompt, row by row
describe  The Describe tab: captions, answers, boxes and points
chat      The Chat tab: text and images both ways, streamed
edit      The Edit tab: inpainting, instructions, variations
tokens    The Tokens tab: the codes of an image, their likelihood, and the reconstruction
"""
