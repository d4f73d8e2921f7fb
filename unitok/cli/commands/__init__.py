"""One module per command of `unitok`; train/ and sample/ run the same. In reading order:

train            `unitok train`: trains both models on a folder of one's own
demo             `unitok demo`: trains both models on rendered scenes
train_tokenizer  `unitok train-tokenizer`
encode           `unitok encode` and `unitok check`
train_model      `unitok train-model`
evaluate         `unitok evaluate`
draw             `unitok draw`
caption          `unitok caption`
chat             `unitok chat`
edit             `unitok edit`
rank             `unitok rank`
page             `unitok page`
serve            `unitok serve`
convert          `unitok convert`
export           `unitok export`
"""
