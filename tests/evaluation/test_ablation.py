"""Ablation: each row leaves out what it says, and nothing of the model itself is changed."""

from __future__ import annotations

import torch

from core.evaluation import ablation
from core.evaluation.ablation import VARIANTS, Settings, table
from tests.toy_head import toy_networks


def test_each_row_leaves_out_what_it_says() -> None:
    whole = toy_networks()
    assert VARIANTS["hybrid"].change(whole) is whole
    assert VARIANTS["2d-only"].change(whole).fusion is None
    assert VARIANTS["2d-only"].change(whole).local is whole.local
    assert VARIANTS["no-local"].change(whole).local is None
    assert VARIANTS["no-projection"].layer == "generator"


def test_3d_alignment_alone_is_blind_to_the_aligned_features() -> None:
    whole = toy_networks()
    fusion = ablation.projected_only(whole).fusion
    assert fusion is not None
    channels = whole.config.local.channels
    one, two, reference = (torch.randn(1, 5, channels) for _ in range(3))
    visible = torch.ones(1, 5, 1)
    torch.testing.assert_close(fusion(one, visible, reference), fusion(two, visible, reference))


def test_the_rule_trusts_the_photo_and_leaves_the_model_alone() -> None:
    whole = toy_networks()
    changed = ablation.ruled(whole)
    config = whole.config.generator.decoder
    feature = torch.randn(1, config.in_channels, config.start_size, config.start_size)
    styles = torch.zeros(1, config.rows, config.style_dim)
    guide = torch.zeros(1, config.guide_channels, 128, 128)
    plain = whole.generator.decoder(feature, styles, guide=guide, noise=False)
    trusting = changed.generator.decoder(feature, styles, guide=guide, noise=False)
    assert (trusting[:, 4] == ablation.CERTAIN).all()
    assert not (plain[:, 4] == ablation.CERTAIN).any()
    torch.testing.assert_close(plain[:, :4], trusting[:, :4])


def test_a_row_without_people_has_dashes() -> None:
    rows = {"hybrid": {"label": "all parts", "people": 0, "figures": {}}}
    text = table({"weights": "toy@1", "settings": vars(Settings()), "rows": rows, "notes": ["a remark"]})
    assert "| all parts | – |" in text
    assert text.endswith("* a remark")
