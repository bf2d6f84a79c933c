"""`ppa-evaluate`: what a model has learnt, measured by the same code for every Hugging Face directory."""

import argparse

from ppa_plugin import commandline
from ppa_plugin.evaluation.commands import classify, leakage, retrieval, scripts, select, suite, tag, tokens, vocabulary

# one module a command, in the order of the help
_COMMANDS = (retrieval, classify, tag, select, suite, vocabulary, scripts, tokens, leakage)


def main(argv: list[str] | None = None) -> None:
    """Run `ppa-evaluate` and exit."""
    commandline.run(_main, argv)


def _main(argv: list[str] | None) -> int | None:
    args = _parser().parse_args(argv)
    return args.command(args)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ppa-evaluate",
        description=__doc__,
        epilog=retrieval.EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = [module.NAME for module in _COMMANDS]
    commands = parser.add_subparsers(required=True, metavar="|".join(names))
    for module in _COMMANDS:
        command = commands.add_parser(
            module.NAME,
            help=module.HELP,
            description=module.__doc__,
            epilog=module.EXAMPLE,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_flags(command)
        command.set_defaults(command=module.run)
    return parser


if __name__ == "__main__":
    main()
