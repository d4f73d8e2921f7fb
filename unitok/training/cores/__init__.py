"""A training step on all cores of a CPU. In reading order:

freed_memory   Memory that a training frees is kept for its next step
shared_memory  Tensors in memory that forked processes share
workers        Processes forked from this one, which run its functions on other cores
row_shares     A batch's gradients in several processes, each on a share of its rows
matrix_shares  Muon's matrices in several processes
processes      How many processes share a training step on a CPU, and what of it
"""
