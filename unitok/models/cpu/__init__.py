"""The same results, faster on a CPU. In reading order:

linear               Matrix products of few rows, bound by reading the weights
blockwise_attention  Causal attention for training by matrix products, a block of queries at a time
packed_weights       Prepacked weights for oneDNN's bfloat16 products of several rows
huge_pages           Weights on huge pages of 2 MB, for decoding, which reads all of them per token
"""
