"""The shapes world. In reading order:

world             Scenes of the shapes world: objects, colours, sizes, relations
pixels            Renders scenes of the shapes world
captions          Captions of the shapes world: every true one of a scene, and a parser
scenes            Seeded scenes of the shapes world with images and captions
questions         Questions about scenes of the shapes world, with true answers
statements        True or false statements about one scene, and multiple-choice questions
statements_two    Statements about two scenes
statements_three  Statements about three scenes: about how many of them show something, or about all together
edits             Edits of scenes: an instruction, and the scene after it
naming            Few-shot naming: made-up words, defined only by the examples of a document
tasks             Tasks on scenes as documents: image, question, answer
judge             The judge of the shapes world: detects objects, checks images and captions
moves             Moves of objects: an instruction, the pick and place that carries it out, its judge
"""
