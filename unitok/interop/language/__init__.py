"""Language models of transformers, in and out. In reading order:

families  Families of language models: config.json to the sizes of a transformer, and back
weights   Tensors by their names in transformers to ours, and back
folder    A transformers folder with a language model, alone or inside a model that sees
"""
