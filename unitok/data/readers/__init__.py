"""One reader per format. In reading order:

segments         From the fields of a record to segments: images by file or bytes, texts, names
detect_format    Detects the format of a path, or says why none fits
folders          Folders of images: alone, with a text beside each, or sorted by class
columns          Which columns of a table hold images and which hold captions
record_reader    The base of what reads any file of records
tables           Tables of captioned images and of texts, in any file of records
webdataset       WebDataset: captioned images in tar shards
coco             COCO captions: one JSON file of images and captions
conversations    Conversations about images, in LLaVA's format and in `messages`
interleaved      Interleaved documents of texts and images: OBELICS and MMC4
question_shards  Questions and statements in WebDataset shards as documents: image, question, answer
plain_text       Plain text: one document per paragraph, line or file
mnist_idx        MNIST's idx files: images in one array, classes in another
hf_stream        Streams of HF datasets, read in order and not stored
unread_captions  Detects caption files that would be ignored, and says why
"""
