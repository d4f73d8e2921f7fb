"""From a prompt to new segments. In reading order:

requests          Requests to the engine, and the events it returns
engine            Continuous batching: requests join and leave the batch at any step
runner            Runs the model on the pending ids of every sequence: prefill, decoding, and the KV cache
sequence          A document being decoded: legal ids, cache rows, and speculative decoding by Jacobi
                  iteration
sampler           Samples the next ids of many positions at once: head, guidance, noise
sampling          Sampling settings and filters (temperature, top-k, top-p), and Gumbel noise by key
guidance          Classifier-free guidance: a weighted sum over branches that know less of the prompt
allowed_segments  Constrained decoding: the new segment is one of several given ones
compiled          Decoding steps compiled by torch.compile, once for each of few shapes
generate          Decodes many requests to the end
likelihood        The log-likelihood of a segment given the rest of its document
"""
