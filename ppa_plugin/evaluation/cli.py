"""`ppa-evaluate`: what a model has learnt, measured by the same code for every Hugging Face directory."""

import argparse
import sys

from ppa_plugin import commandline
from ppa_plugin.commandline import UserError
from ppa_plugin.evaluation.codes import canonical
from ppa_plugin.evaluation.readers import RETRIEVAL_TASKS

_EXAMPLE = """\
example:
  ppa-evaluate retrieval --model aligned --data eval/retrieval --task bible --sources eng_Latn --output results.jsonl
"""


def main(argv: list[str] | None = None) -> None:
    """Run `ppa-evaluate` and exit."""
    commandline.run(_main, argv)


def _main(argv: list[str] | None) -> None:
    args = _parser().parse_args(argv)
    args.command(args)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ppa-evaluate", description=__doc__, epilog=_EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="retrieval")
    retrieval = commands.add_parser(
        "retrieval",
        help="sentence retrieval: Bible verses, Tatoeba, SIB-200 sentences",
        description="For every sentence in the source language, rank all sentences in the target language by cosine.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    retrieval.set_defaults(command=_retrieval)
    retrieval.add_argument("--model", required=True, metavar="HF_DIR", help="a Hugging Face directory or hub name")
    retrieval.add_argument("--name", help="what tables call the model (default: the directory's base name)")
    retrieval.add_argument("--data", required=True, metavar="DIR", help="the directory with the task's files")
    retrieval.add_argument("--task", required=True, choices=RETRIEVAL_TASKS, help="which files in it")
    retrieval.add_argument(
        "--sources", required=True, metavar="L,...", type=_languages, help="languages of the queries"
    )
    retrieval.add_argument(
        "--targets", metavar="L,...", type=_languages, help="languages to search (default: every language found)"
    )
    retrieval.add_argument("--layer", type=int, help="layer to pool (default: 8 of 12, else two thirds of the depth)")
    retrieval.add_argument(
        "--pool",
        choices=("all", "content"),
        default="all",
        help="mean over all tokens with <s> and </s> (as the paper evaluates; default) or without those two",
    )
    retrieval.add_argument("--batch-size", type=_positive, default=64, help="sentences a batch (default: %(default)s)")
    retrieval.add_argument("--device", default=None, help="cpu, cuda, cuda:1, ... (default: cuda where there is one)")
    retrieval.add_argument("--output", required=True, metavar="results.jsonl", help="file to append the results to")
    return parser


def _retrieval(args: argparse.Namespace) -> None:
    # imported here, so that --help and mistyped flags do not wait for Transformers
    import torch

    from ppa_plugin.convert.hugging_face import locate
    from ppa_plugin.evaluation import retrieve
    from ppa_plugin.evaluation.embedding import SentenceEncoder
    from ppa_plugin.evaluation.readers import RetrievalSet
    from ppa_plugin.evaluation.results import append_results
    from ppa_plugin.evaluation.tables import pivot, to_text

    data = RetrievalSet(args.data, args.task)
    pairs = retrieve.plan(data, args.sources, args.targets)
    directory = locate(args.model)
    model = retrieve.Model.of(directory, args.model, args.name)
    device = args.device or ("cuda" if torch.cuda.is_available() else "cpu")
    encoder = SentenceEncoder(directory, args.layer, args.pool, device)
    sys.stdout.write(f"{model.name}: layer {encoder.layer} of {encoder.depth}, pool {encoder.pool}, on {device}\n")
    results = retrieve.measure(encoder, model, args.task, pairs, args.batch_size)
    append_results(args.output, results)
    sys.stdout.write("\n\n".join(to_text(table) for table in pivot(results, column="metric")) + "\n")


def _languages(text: str) -> list[str]:
    codes = [code.strip() for code in text.split(",") if code.strip()]
    unknown = [code for code in codes if canonical(code) is None]
    if unknown or not codes:
        raise UserError(f"{unknown[0] if unknown else text!r} is not a language code such as fas_Arab or eng_Latn")
    return list(dict.fromkeys(canonical(code) for code in codes))


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive whole number")
    return int(text)


if __name__ == "__main__":
    main()
