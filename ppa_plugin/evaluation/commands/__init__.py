"""The commands of `ppa-evaluate`, one a module: NAME, HELP, EXAMPLE, `add_flags(parser)`, `run(args) -> code`."""
