"""Documents as codes. In reading order:

build_codec     Builds a codec from an image tokenizer's folder and a tokenizer.json
encoding        Encodes documents of a source to codes; corrupt ones are skipped and counted
shards          One shard of a store: documents of codes as arrays
store           Stores of pre-tokenised data: documents of codes on disk, read at random
store_writer    Writes a store; an interrupted run resumes and keeps complete shards
source_changes  Tells whether a source has changed since it was encoded
mixture_codes   The codes of a mixture, from sources and stores, and counts of what was read
"""
