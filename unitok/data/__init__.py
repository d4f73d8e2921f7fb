"""From files to batches, in the order in which a sample travels. In reading order:

files/          Files and their content: records, tars, images, remote objects
source          The Source and Reader interfaces, and sources made of sources
readers/        One reader per format: from records to documents
sources         Opens a path with the reader that fits it, and splits it
faults          Corrupt samples: skipped, counted by reason, reported, and too many of them
tasks           Tasks: the order of segments, and when the condition is dropped
mixture         Mixtures: sources and stores with weights and tasks
transforms/     Transformed sources: augmented, resized, with holes
codes/          Documents as codes: encoded, stored, read
batches/        Codes as packed batches, in an order that resumes
keyed_random    Random numbers as a pure function of (seed, epoch, index, stream)
set_facts       Looks through a set once for what a training's settings depend on
shown_tasks     Finds the tasks that training documents show, from a sample of them
dataset_report  Reads a whole data set once and reports its content and its faults
image_data      The LightningDataModule of an image tokenizer: batches of images
document_data   The LightningDataModule of a transformer: packed documents
"""
