"""The command ``cards``: its options, and what it leaves behind."""

import argparse
from pathlib import Path


def add_cards(parser: argparse.ArgumentParser) -> None:
    """From which checks, and where to."""
    parser.add_argument(
        "--checks", nargs="+", required=True, help="folders of the command checks, one per network"
    )
    parser.add_argument("--out", default="docs/cards", help="folder of the cards")


def run_command(options: argparse.Namespace) -> None:
    """Write a card for every attribution class, and their index."""
    from benchmarks_kth_mad.cards.card import card, index
    from benchmarks_kth_mad.cards.classes import described_classes
    from benchmarks_kth_mad.checks.report import load_checks
    from benchmarks_kth_mad.files import make_folder, whole_file

    described = described_classes()
    measured = [load_checks(Path(folder)) for folder in options.checks]
    out = Path(options.out)
    make_folder(out)
    texts = {one.name: card(one, measured) for one in described}
    for name, text in {**texts, "README": index(described, measured)}.items():
        with whole_file(out / f"{name}.md") as path:
            path.write_text(text)
    print(f"{len(texts)} cards in {out}, their table in {out / 'README.md'}")
