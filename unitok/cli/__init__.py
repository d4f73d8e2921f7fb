"""Command lines; nothing imports them. In reading order:

demo              The demo: tokenizer, codes, transformer, report, stage by stage
lightning_cli     The command line of both trainings: Lightning's, with this project's defaults
short_help        The short --help of the training scripts, shown before anything heavy is imported
data_overrides    Resolves several data settings on one command line: the last one wins
unknown_settings  Errors for unknown settings, with the nearest known one
yaml_defaults     A YAML file as the defaults of an argparse command line
terminal_chat     The chat in a terminal: one growing document of text and images
"""
