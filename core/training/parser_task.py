"""Stage parser: which pixels of a head are hair, by the world's exact parts, redressed, and by real portraits.

The world has the labels and not the look, portraits have the look and no labels. So heads of the world get other hair,
real people's too (``core.training.hairdresser``); the generator's own pictures of them join; portraits say what their
colours leave no doubt about; and later on what an average of the network itself is sure of, in plain pictures, is asked
of it in disturbed ones (mean teacher, Tarvainen and Valpola 2017).
"""

from __future__ import annotations

import copy
import dataclasses

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from core.models.parsing import CLOTHES, HAIR, PARSED, HeadParser
from core.training import augmentation
from core.training.barber import bearded
from core.training.data import premultiplied
from core.training.hairdresser import dressed, redyed
from core.training.losses import total_loss
from core.training.parsing_data import UNKNOWN, ParsedHeads, ParsedPortraits
from core.training.reader_task import on_grey
from core.training.sheets import contact_sheet
from core.training.tailor import clothed, loosened
from core.training.trainer import ema_update
from core.training.warps import similarities

MOUTH = PARSED.index("mouth")
WEIGHTS = {
    "skin": 0.7,
    "hair": 1.0,
    "brows": 2.0,
    "eyes": 1.5,
    "mouth": 1.5,
    "beard": 1.5,
    "glasses": 1.5,
    "clothes": 1.0,
}
"""How much a pixel of each part counts."""
TINTS = ((0.85, 0.65, 0.55), (0.35, 0.2, 0.7), (0.1, 0.8, 0.1), (0.2, 0.6, 1.0), (1.0, 0.2, 0.3), (0.9, 0.7, 0.1),
         (0.5, 0.5, 0.5), (0.0, 0.9, 0.9))  # fmt: skip
"""Colours of the parts in sheets, in the order of ``PARSED``."""


@dataclasses.dataclass(frozen=True)
class ParserTaskConfig:
    """Batch sizes and loss weights of the parser's stage."""

    pictures: int = 16
    portraits: int = 6
    own: float = 0.25
    """Share of the pictures that are the generator's own, where it has painted some; one at least."""
    certain: float = 0.5
    """Weight of what colours say of portraits."""
    taught: float = 1.0
    """Weight of what the average says of portraits."""
    taught_from: float = 0.3
    sure: float = 0.9
    """From which share on the average is believed."""
    decay: float = 0.99


class ParserTask:
    """Losses of the parser's stage."""

    name = "parser"

    def __init__(
        self,
        parser: HeadParser,
        data: ParsedHeads,
        portraits: ParsedPortraits | None,
        config: ParserTaskConfig,
        own: ParsedHeads | None = None,
    ) -> None:
        self.parser, self.data, self.portraits, self.config, self.own = parser, data, portraits, config, own
        self.modules: dict[str, nn.Module] = {"parser": parser}
        self._teacher: HeadParser | None = None
        self.weights = torch.tensor([WEIGHTS[name] for name in PARSED])
        none = torch.zeros(0, 3, 1, 1, dtype=torch.uint8)
        self.tiles, self.cloth = (none, none) if portraits is None else (portraits.tiles, portraits.cloth)

    @property
    def teacher(self) -> HeadParser:
        """The average of the network; it begins where that is at the first step, also of a run that goes on."""
        if self._teacher is None:
            self._teacher = copy.deepcopy(self.parser).requires_grad_(False).eval()
        return self._teacher

    def parameter_groups(self, learning_rate: float) -> list[dict[str, object]]:
        """All of the parser."""
        return [{"params": list(self.parser.parameters()), "lr": learning_rate}]

    def losses(self, progress: float) -> tuple[Tensor, dict[str, Tensor]]:
        """One batch of the world's heads and one of portraits."""
        c = self.config
        ema_update(self.teacher, self.parser, c.decay)
        own = 0 if self.own is None else max(1, round(c.own * c.pictures))
        picture, label = self._redressed(max(1, c.pictures - own))
        if self.own is not None:
            index = torch.randint(len(self.own), (own,))
            painted = redyed(self.own.picture[index].float() / 255, self.own.label[index])
            picture, label = torch.cat((picture, painted)), torch.cat((label, self.own.label[index]))
        picture, labels = framed(premultiplied(picture), label[:, None])
        picture = torn(augmentation.photographic(augmentation.side_lit(picture)), labels == CLOTHES)
        label = torch.where(picture[:, 3] > 0.5, labels[:, 0], UNKNOWN).long()
        logits = self.parser(on_grey(picture))
        parts = {
            "parts": F.cross_entropy(logits, label, self.weights, ignore_index=UNKNOWN, label_smoothing=0.02),
        }
        if self.portraits is not None:
            parts |= self._portrait_losses(self.portraits, progress)
        return total_loss(parts, {"parts": 1.0, "certain": c.certain, "taught": c.taught}), parts

    def _redressed(self, count: int) -> tuple[Tensor, Tensor]:
        """Heads of the world with other hair, beards and clothes, straight colours, and their labels."""
        data, index = self.data, torch.randint(len(self.data), (count,))
        picture, label = dressed(data.picture[index].float() / 255, data.label[index], self.tiles)
        if data.places is not None and data.nose is not None:
            picture, label = bearded(picture, label, data.places[index], data.nose[index], self.tiles)
        return clothed(picture, label, self.cloth)

    def _portrait_losses(self, portraits: ParsedPortraits, progress: float) -> dict[str, Tensor]:
        c = self.config
        index = torch.randint(len(portraits), (c.portraits,))
        plain = portraits.picture[index].float() / 255
        straight, worn = portraits.straight[index].float() / 255, portraits.worn[index]
        plain, clothes = loosened(plain, straight, worn)
        certain = torch.stack([one[index] for one in (portraits.hair, portraits.skin, portraits.mouth)], dim=1)
        known = torch.cat((certain.byte(), clothes), dim=1)
        plain, known = framed(plain, known)
        seen = torn(augmentation.photographic(augmentation.side_lit(plain)), known[:, 3:] == 1)
        logits = self.parser(on_grey(seen))
        solid = seen[:, 3] > 0.5
        hair, skin = (known[:, 0] == 1) & solid, (known[:, 1] == 1) & solid
        share = logits.log_softmax(dim=1)
        is_hair, is_not = share[:, HAIR], torch.log1p(-share[:, HAIR].exp().clamp(max=1 - 1e-4))
        mouth, clothes = (known[:, 2] == 1) & solid, (known[:, 3] == 1) & solid
        losses = {
            "certain": -_mean(is_hair, hair)
            - _mean(is_not, skin)
            - _mean(share[:, MOUTH], mouth)
            - _mean(share[:, CLOTHES], clothes)
        }
        if progress >= c.taught_from:
            with torch.no_grad():
                told = self.teacher(on_grey(plain)).softmax(dim=1)
                best = told.max(dim=1)
            believed = (best.values > c.sure) & solid
            losses["taught"] = _mean(-share.gather(1, best.indices[:, None])[:, 0], believed)
        return losses

    @torch.no_grad()
    def sheet(self, averaged: dict[str, nn.Module]) -> NDArray[np.uint8]:
        """Rows: redressed heads of the world, their labels, what was found; portraits, what was found."""
        parser = averaged["parser"]
        assert isinstance(parser, HeadParser)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            picture, label = self._redressed(10)
            if self.own is not None:
                index = torch.randint(len(self.own), (5,))
                picture[5:], label[5:] = self.own.picture[index].float() / 255, self.own.label[index]
            picture = augmentation.photographic(premultiplied(picture))
        rows = [picture[:, :3], tinted(picture, F.one_hot(label.long().clamp(max=len(PARSED)), len(PARSED) + 1))]
        rows.append(tinted(picture, parser(on_grey(picture)).softmax(dim=1).permute(0, 2, 3, 1)))
        if self.portraits is not None:
            for first in range(0, min(20, len(self.portraits)), 10):
                seen = self.portraits.picture[first : first + 10].float() / 255
                if len(seen) == len(picture):
                    shares = parser(on_grey(seen)).softmax(dim=1).permute(0, 2, 3, 1)
                    rows += [seen[:, :3], tinted(seen, shares)]
        return contact_sheet(rows)


def tinted(picture: Tensor, shares: Tensor) -> Tensor:
    """Premultiplied pictures (N, 4, S, S) under the colours of their parts (N, S, S, parts or one more)."""
    tints = torch.tensor(TINTS)
    colours = (shares[..., : len(tints)].float() @ tints).permute(0, 3, 1, 2)
    return (0.35 * picture[:, :3] + 0.65 * colours) * picture[:, 3:]


def torn(picture: Tensor, worn: Tensor) -> Tensor:
    """Pictures (N, 4, S, S) with faults of mattes, but for those that show clothes (N, 1, S, S): a fault already."""
    return torch.where(worn.flatten(1).any(dim=1)[:, None, None, None], picture, augmentation.torn_matte(picture))


def framed(picture: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Pictures (N, 4, S, S), premultiplied, and labels (N, L, S, S) turned, mirrored, moved and scaled at random."""
    grid = F.affine_grid(similarities(len(picture), 0.12, 0.1, 0.06), list(picture.shape), align_corners=False)
    moved = F.grid_sample(picture, grid, padding_mode="zeros", align_corners=False)
    label = F.grid_sample(labels.float(), grid, mode="nearest", padding_mode="border", align_corners=False)
    return moved, label.byte()


def _mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean over a mask, 0 where it is empty."""
    return (values * mask).sum() / mask.sum().clamp(min=1)
