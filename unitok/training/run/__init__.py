"""A run and its folder. In reading order:

checkpoint    Atomic checkpoints and their names
resume_check  Checks that a checkpoint belongs to this run before it is loaded
interruption  Saves a checkpoint when a signal ends the run
whole_steps   Gradient accumulation that no checkpoint cuts in two
bad_batches   Skips batches with non-finite values, and empty ones
callbacks     Callbacks of all runs: images in TensorBoard, export, seeds by batch
"""
