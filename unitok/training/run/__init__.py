"""A run and its folder. In reading order:

checkpoint     Atomic checkpoints and their names
resume_check   Checks that a checkpoint belongs to this run before it is loaded
whole_steps    Gradient accumulation that no checkpoint cuts in two
bad_batches    Skips batches with non-finite values, and empty ones
log_steps      Which steps are logged: every one at first, then fewer
budget         The wall-clock budget of a run, in which compiling is not counted
clock          When something is due that may take little of a run's time
interruption   Saves a checkpoint by the clock, and when a signal ends the run
scalars        Reads the scalars of a run's log
callbacks      Callbacks of all runs: images in TensorBoard, export, seeds by batch
origin_data    Finds the data of the model that a run starts from
forgetting     Forgetting in fine-tuning: measures a run on what the model knew that it starts from
course         How far the trainings of both parts come, forecast by a trial and as it came
progress_line  One line that tells how a run stands
trainer        The trainer of all runs: Lightning's, which writes everything of a run to one folder
"""
