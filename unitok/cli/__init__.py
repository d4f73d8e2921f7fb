"""Command lines; nothing imports them. In reading order:

main              The console command `unitok`: runs the command named by its first word
commands/         One module per command
demo              The demo: tokenizer, codes, transformer, report, stage by stage
own_data          `unitok train`: from a set of one's own to a model, stage by stage
export_run        Makes a model of any checkpoint of a run
stages            Stages of a long command, each run once
lightning_cli     The command line of both trainings: Lightning's, with this project's defaults
short_help        The short --help of the training scripts, shown before anything heavy is imported
data_overrides    Resolves several data settings on one command line: the last one wins
count_or_share    Settings that take a count or a share: an integer is a count
unknown_settings  Errors for unknown settings, with the nearest known one
yaml_defaults     A YAML file as the defaults of an argparse command line
packaged_configs  `unitok configs`: lists and copies the configs inside the package
model_info        `unitok info`: the contents of a model folder, read from its files
environment       `unitok env`: versions, hardware and precision
terminal_chat     The chat in a terminal: one growing document of text and images
"""
