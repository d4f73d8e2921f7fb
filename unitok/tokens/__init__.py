"""From segments to ids and back. In reading order:

vocabulary     The layout of ids with all special tokens: the only file that adds or subtracts an offset
cursor         The grammar of documents: which ids are legal next, and at which position
layout         Lays out the codes of many documents as ids, positions and loss masks
vision_layout  Lays out images that are shown as vectors: ids above the vocabulary
codec          Tokenises and detokenises documents: content to codes (modalities) to ids (vocabulary)
"""
