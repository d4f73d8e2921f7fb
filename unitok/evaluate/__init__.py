"""Suites, benchmarks and reports. In reading order:

suites                Suites: the measurements for each kind of data
judged_sets           Judged sets: images, captions, and a judge of both
report                Measures a model on captioned images and writes the report
classification        Zero-shot classification accuracy
benchmarks            Runs a model on the files of public benchmarks
benchmark_files       Parses the files of public benchmarks: questions, captions, boxes
image_index           Finds the images that a benchmark names, in a folder or in tar shards
question_shards       Accuracy on questions and statements in shards
shapes_tasks          Accuracy of answers and edits in the shapes world, by task
shapes_hallucination  Hallucination in the shapes world, by POPE and CHAIR
nlvr_steps            NLVR's statements judged step by step, as in the lessons
metrics/              Metrics over strings, boxes and images
"""
