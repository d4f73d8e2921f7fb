"""Files and their content. In reading order:

remote         Fetches files of object stores (fsspec) into a local folder once
list_files     Lists the files in and below a folder, following each link once
splits         Splits of a data set: their names, file names that tell them, and the rule where none is
               given
images         Opens images from paths or bytes as RGB; errors name the reason
bounded_file   An image file that its decoder may read only so often: bounds JPEG scans and TIFF tiles
tar            An index of the files in a tar, also of a damaged one
gzip_shards    Memory-maps shards; a .gz is decompressed to a private file first
records        Random access to records, those of JSON lines and JSON lists
json_records   Finds the records in a JSON document, in all shapes in common use
csv_headers    Separator and column names from the first line of a csv
csv_rows       Rows of csv and tsv, with quotations over several lines
arrow          Records of Parquet files and of sets saved by HF datasets
open_records   Opens a file of records of any kind, and takes a first look at a path
compact_lists  Long lists of strings and JSON values in little memory: no Python object for each
"""
