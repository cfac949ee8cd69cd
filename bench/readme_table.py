#!/usr/bin/env python3
"""Rewrites the README's table of training speed, between its markers, from a page that train_step.py has written.

    bench/readme_table.py bench/results/2026-11-29-train_step-amd-epyc.md

The table has a row per network: Convoy, the better setting of each peer, and the ratio to the best of them with the range over the rounds.
"""
import re
import sys
from pathlib import Path

from measurement import ROOT, Options

BEGIN, END = "<!-- bench/readme_table.py: begin -->", "<!-- bench/readme_table.py: end -->"


def sections(page):
    """title -> rows of cells, and the line with the ratio."""
    for text in page.split("\n## ")[1:]:
        title, _, body = text.partition("\n")
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in body.splitlines() if line.startswith("|")][2:]
        ratio = re.search(r"^\*\*([\d.]+×)\*\* the best peer \((.*)\); round by round (.*)\.$", body, re.MULTILINE)
        yield title, rows, ratio


def table(path):
    page = path.read_text()
    peers = []
    for _, rows, _ in sections(page):
        peers += [name for name in dict.fromkeys(row[0] for row in rows[1:]) if name not in peers]
    versions = {row[0]: row[1].split("+")[0] for _, rows, _ in sections(page) for row in rows}
    lines = ["| network, samples/s | Convoy | " + " | ".join(f"{name} {versions[name]}" for name in peers) + " | Convoy against the best | round by round |",
             "|---|--:|" + "--:|" * (len(peers) + 2)]
    for title, rows, ratio in sections(page):
        best = [max((float(row[3].replace(",", "")) for row in rows if row[0] == name), default=None) for name in peers]
        cells = [f"`{title}`" if "," not in title else "`{}`{}".format(*re.match(r"(.*?)(,.*)", title).groups()), rows[0][3]]
        cells += ["" if value is None else f"{value:,.0f}" for value in best] + [f"**{ratio[1]}**", ratio[3].replace("–", " – ")]
        lines.append("| " + " | ".join(cells) + " |")
    machine = re.search(r"^- machine: (.*?);", page, re.MULTILINE)[1]
    lines.append(f"\n[The run](bench/results/{path.name}): {machine}; {re.search(r'^- (medians over .*)$', page, re.MULTILINE)[1]}.")
    return "\n".join(lines)


def main():
    parser = Options(__doc__)
    parser.add_argument("page", type=Path, help="of train_step.py, with peers")
    page = parser.parse_args().page
    if not page.is_file():
        parser.error(f"{page} is not there")
    if not page.read_text().startswith("# Training steps") or not all(ratio for _, _, ratio in sections(page.read_text())):
        parser.error(f"{page} is no page of train_step.py that has peers for every network")
    readme = ROOT / "README.md"
    text = readme.read_text()
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        sys.exit(f"readme_table: {readme} needs the lines {BEGIN} and {END}, once each")
    head, rest = text.split(BEGIN)
    readme.write_text(head + BEGIN + "\n" + table(page.resolve()) + "\n" + END + rest.split(END)[1])
    print(f"readme_table: wrote {readme}", file=sys.stderr)


if __name__ == "__main__":
    main()
