"""NLVR's grey boxes. In reading order:

boxes       Grey boxes with objects: sampled, parsed from an image, described
words       Phrases for counts and kinds of objects in grey boxes
clauses     Clauses about one box: words, and the predicate they stand for
statements  Statements about three boxes, in the words that people use for them
lessons     Lessons for step-by-step reasoning: a statement, then what each box holds and what matters
source      NLVR's statements as documents of three images, with paraphrases of equal truth
"""
