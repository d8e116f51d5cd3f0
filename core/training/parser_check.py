"""What a parser gets right: ``python -m core.training.parser_check --world UNSEEN --portraits FILE [--run FOLDER]``.

On heads of the world that no training saw, redressed as in training, labels are exact. On the portraits that are kept
for validation nobody knows them; there it is asked about what is certain: hair far from the face, cheeks, and what lies
below a matte. Prints the weights in the repository, and those of a run folder below them.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import torch
from torch import Tensor

from core.models.bundle import read_networks
from core.models.parsing import CLOTHES, HAIR, PARSED, HeadParser, widened
from core.training.barber import bearded
from core.training.data import RealPortraits, premultiplied
from core.training.hairdresser import dressed
from core.training.parsing_data import ParsedHeads, ParsedPortraits, mean_landmarks, parse_portraits
from core.training.reader_task import on_grey
from core.training.tailor import clothed, loosened
from core.training.trainer import load_averaged
from core.weights import Registry

SEED, TIMES, AT_ONCE = 5, 4, 32
COLUMNS = ("hair", "hair of skin", "clothes", "hair of clothes", "clothes of hair, skin")


def overlaps(parser: HeadParser, heads: ParsedHeads, portraits: ParsedPortraits) -> dict[str, float]:
    """Intersection over union of each part on redressed heads of the world, by the likeliest part of each pixel."""
    hits, unions = (torch.zeros(len(PARSED)) for _ in range(2))
    for part in torch.arange(len(heads)).repeat(TIMES).split(AT_ONCE):
        picture, label = dressed(heads.picture[part].float() / 255, heads.label[part], portraits.tiles)
        if heads.places is not None and heads.nose is not None:
            picture, label = bearded(picture, label, heads.places[part], heads.nose[part], portraits.tiles)
        picture, label = clothed(picture, label, portraits.cloth)
        said = parser(on_grey(premultiplied(picture))).argmax(dim=1)
        known = (label < len(PARSED)) & (picture[:, 3] > 0.5)
        for number in range(len(PARSED)):
            found, there = (said == number) & known, (label == number) & known
            hits[number] += (found & there).sum()
            unions[number] += (found | there).sum()
    return {name: float(hits[i] / unions[i].clamp(min=1)) for i, name in enumerate(PARSED)}


def certainties(parser: HeadParser, portraits: ParsedPortraits) -> dict[str, float]:
    """Mean shares of what is certain about portraits; see ``COLUMNS``: what is found, of what it is said wrongly."""
    plain, straight = portraits.picture.float() / 255, portraits.straight.float() / 255
    picture, taken = loosened(plain, straight, portraits.worn)
    shares = torch.cat([parser(on_grey(some)).softmax(dim=1) for some in picture.split(AT_ONCE)])
    worn = taken[:, 0].bool() & (picture[:, 3] > 0.5)
    hair, clothes = shares[:, HAIR], shares[:, CLOTHES]

    def mean(share: Tensor, where: Tensor) -> float:
        return float(share[where].mean())

    figures = (
        *(mean(hair, portraits.hair), mean(hair, portraits.skin), mean(clothes, worn)),
        *(mean(hair, worn), mean(clothes, portraits.hair | portraits.skin)),
    )
    return dict(zip(COLUMNS, figures, strict=True))


@torch.inference_mode()
def main() -> int:
    """Measure and print; returns 0."""
    options = argparse.ArgumentParser(prog="python -m core.training.parser_check")
    options.add_argument("--world", type=Path, required=True, help="shards of heads that no training saw")
    options.add_argument("--portraits", type=Path, default=Path("runs/portraits.npz"))
    options.add_argument("--run", type=Path, help="folder with a parser.pt")
    options.add_argument("--landmarks", type=Path, default=Path("resources/landmark_vertices.json"))
    chosen = options.parse_args()
    numbers = [int(entry["mediapipe"]) for entry in json.loads(chosen.landmarks.read_text())["landmarks"]]
    real = RealPortraits.load(chosen.portraits, torch.device("cpu"), validation=True)
    portraits = parse_portraits(real, chosen.landmarks, torch.from_numpy(mean_landmarks(chosen.world)))
    heads = ParsedHeads.load(chosen.world, numbers=numbers)
    shipped = read_networks(Registry().locate("cameo-256").values()).parser
    parsers = {} if shipped is None else {"shipped": widened(shipped)}
    if chosen.run is not None:
        parsers["run"] = HeadParser()
        load_averaged(chosen.run / "parser.pt", {"parser": parsers["run"]})
    for name, parser in parsers.items():
        torch.manual_seed(SEED)
        figures = overlaps(parser.eval(), heads, portraits) | {
            f"portraits: {what}": share for what, share in certainties(parser, portraits).items()
        }
        rounded = {what: round(share, 4) for what, share in figures.items()}
        sys.stdout.write(f"{name} {json.dumps(rounded)}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
