"""NLVR's grey boxes. In reading order:

boxes       Grey boxes with objects: sampled, parsed from an image, described
words       Phrases for counts and kinds of objects in grey boxes
clauses     Clauses about one box: words, and the predicate they mean
statements  Statements about three boxes, in people's words
lessons     Lessons for step-by-step reasoning: a statement, then a description and a reason for each box
source      NLVR's statements as documents of three images, with paraphrases of equal truth
"""
