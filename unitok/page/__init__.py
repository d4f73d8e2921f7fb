"""The web page. In reading order:

app              The page: its tabs, its style, and the server that shows it
draw             The Draw tab: images from a prompt, row by row
describe         The Describe tab: captions, answers, boxes and points
chat             The Chat tab: text and images both ways, streamed
edit             The Edit tab: inpainting, instructions, variations
tokens           The Tokens tab: the codes of an image, their likelihood, and the reconstruction
examples         Examples to start with: words that the model learned, scenes of the shapes world
example_buttons  A row of buttons that fill an input with an example
model_view       An image as the model sees it, enlarged for people
overlay          Draws boxes, points, grids and heat maps onto images
status           The status line of a tab: hints, results, errors
throttle         Throttles updates to what a browser can show
served_images    Serves images as files, each written once
"""
