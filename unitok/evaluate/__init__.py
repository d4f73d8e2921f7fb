"""Suites, benchmarks and reports. In reading order:

suites                The contract of a suite, the registry, and measuring a model by a suite's name
report                Measures a model on captioned images and writes the report
judged_sets           Judged sets: images, captions, and a judge of both
captioned_images      Suites of captioned images: reconstructions, captions and drawings
held_out              Measures a model on held-out samples of a set that nobody knows
classification        Zero-shot classification accuracy
answers               Greedy answers after prompts, and their contact sheet
benchmarks            Runs a model on the files of public benchmarks
benchmark_files       Parses the files of public benchmarks: questions, captions, boxes
image_index           Finds the images that a benchmark names, in a folder or in tar shards
question_shards       Accuracy on questions and statements in shards
shapes_tasks          Accuracy of answers and edits in the shapes world, by task
shapes_hallucination  Hallucination in the shapes world, by POPE and CHAIR
moves                 Success of moves in the shapes world, in a closed loop
nlvr_steps            NLVR's statements judged step by step, as in the lessons
metrics/              Metrics over strings, boxes and images
"""
