"""Rendered worlds with their judges. In reading order:

seeded                Sources whose documents are functions of a seed
shapes/               Coloured shapes on a white ground: scenes, captions, questions, edits, judge
nlvr/                 NLVR's grey boxes: statements, lessons step by step
connected_components  Connected components of an image's foreground
easy_vqa_judge        The judge of easy-VQA's images: one coloured circle, rectangle or triangle on a pale
                      background
"""
