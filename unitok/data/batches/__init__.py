"""Codes as batches. In reading order:

batch_sampler     The batch sampler: which documents make a batch, a pure function of (seed, number of the
                  batch)
bin_packing       Bin packing by best fit: which documents share a row, with little padding
packing           Sequence packing: documents to rows of a batch; the only place that shifts and pads
packed_documents  A Dataset of packed batches: fetches codes, orders segments by task, lays out, packs
image_batches     A Dataset of image batches for the tokenizer: tensors of one size
loader            Resumable loaders: iteration starts at the batch where the trainer stopped
loader_state      The state of the data in a checkpoint, for a run that resumes
workers           Worker processes of a loader: they leave signals to their parent
"""
