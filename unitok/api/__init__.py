"""The public API. In reading order:

arguments        Checks the arguments of public calls: numbers, texts, images, documents
learned_tasks    What a model was trained to do, with examples and figures, as its folder lists it
task_kinds       Kinds of tasks, recognised by the shape of training documents
messages         Messages as apply_chat_template takes them, and prompts of any kind
request_builder  Builds engine requests from documents and sampling settings
document_model   DocumentModel: a transformer with its codec; documents in, documents out
unitok           UniTok: draw, caption, answer, edit, rank, save and load
editing          Inpainting, variations and edits by instruction
ranking          Zero-shot classification, retrieval and reranking by likelihood
previews         Previews of an engine's events: text so far, images half done
codec_folder     The codec's part of a model folder: settings in config.json, and files
hub              Finds a model's folder by its name: a path, the bundled model, or the Hub's
model_folder     Reads and writes a model's folder, for save_pretrained and from_pretrained
model_card       Writes the model card, the README.md of a model's folder
contact_sheet    Contact sheets: images with their captions in a grid, as one PNG
"""
