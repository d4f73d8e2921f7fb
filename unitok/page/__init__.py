"""The web page. In reading order:

app              The page: its tabs, and the server that shows it
style            The page's style
tab              What tabs share: the model and its queue, and how an image goes from one tab to another
tabs/            Its tabs: draw, describe, chat, edit, tokens
history          The history: what was drawn, with prompts, seeds and settings, kept in the visitor's browser
settings         Settings of tabs: in the page's address, restored from it or from an image
runs             Runs of the model: one at a time, in order, each stopped by its visitor's Stop
image_input      Inputs of images: a broken upload is one line
examples         Examples to start with: words that the model learned, scenes of the shapes world
example_buttons  A row of buttons that fill an input with an example
model_view       An image as the model sees it, enlarged for people
overlay          Draws boxes, points, grids and heat maps onto images
status           The status line of a tab: hints, results, errors
throttle         Throttles updates to what a browser can show
served_images    Serves images as files, each written once, with what they were made from
"""
