"""Training of both models. In reading order:

tokenizer      Trains an image tokenizer: objective, optimizers, log
transformer    Trains a transformer on packed documents: loss, optimizer, log
encode         Encodes a data set once into a store of codes
class_paths    Classes and arguments as configs name them: a class path, alone or with init_args
open_source    Opens a data source by its short form: a name, path, URL or class path
loss_config    Settings of both losses: the transformer's, by modality, and the image tokenizer's
targets        Which ids compete for a target, and which targets count
token_dropout  Token dropout: replaces codes by noise in the input, so that the model leans on its prompt
optimizers     Optimizers: AdamW, and Muon for matrices
schedule       The learning-rate schedule by share of the budget, in steps or seconds
adversary      Adversarial training of the tokenizer: the discriminator's steps and its weight
metrics        Logged metrics of a transformer's run: losses by modality, speed, utilisation
proposal       Proposes settings for a set of images and a budget
verdicts       Says in words what a training's figures mean
samples        Samples during training: drawings and captions, with their accuracy
weights/       Weights before the first step: warm starts, LoRA, FSDP
cores/         A training step on all cores of a CPU
run/           A run and its folder: checkpoints, interruption, resuming
"""
