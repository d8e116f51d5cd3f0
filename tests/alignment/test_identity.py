"""The identity embedding: the published network, exactly; one person near, other faces far; differentiable."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from core.alignment import AlignedFace, align, detect_faces
from core.job import Job
from core.models.identity import IdentityEmbedding
from core.photo import Photo
from core.weights import Registry
from tests.alignment.conftest import SHARED

torch.set_num_threads(1)

SAME_PERSON = 0.6  # dlib's threshold


@pytest.fixture(scope="module")
def network() -> IdentityEmbedding:
    return IdentityEmbedding.from_tensors(load_file(Registry().locate("dlib-face-embedding")["network"]))


def crops(picture: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None].float() / 255


def test_a_known_chip_has_the_known_embedding(network: IdentityEmbedding) -> None:
    """The figures come from another implementation of face-api's file, written independently of this one."""
    y, x = torch.meshgrid(torch.arange(150.0) / 150, torch.arange(150.0) / 150, indexing="ij")
    chip = torch.stack([0.5 + 0.5 * torch.sin(9 * x + 4 * y), 0.5 + 0.5 * torch.cos(7 * y - 2 * x), x * y])[None]
    embedding = network.embed_chips(chip)[0]
    known = torch.tensor([-0.0545998, 0.0993708, 0.0529818, -0.0329708, -0.0755571, -0.0657162])
    assert (embedding[:6] - known).abs().max() < 1e-5
    assert embedding.norm().item() == pytest.approx(1.2850, abs=1e-3)


def test_changes_of_light_and_sides_leave_the_person(network: IdentityEmbedding, aligned: AlignedFace) -> None:
    picture = crops(aligned.crop256)
    person = network(picture)
    for other in (picture.flip(3), picture * 0.6, (picture * 1.2).clamp(0, 1)):
        assert torch.dist(person, network(other)) < 0.35 < SAME_PERSON


def test_different_people_are_far(network: IdentityEmbedding) -> None:
    paths = sorted((SHARED / "photos").glob("portrait_*.jpg"))[::5]
    if not paths:
        pytest.skip("the test portraits are not here; they are not part of the repository")
    photos = [Photo.load(path) for path in paths]
    faces = [align(photo, detect_faces(photo, Job.quiet())[0]) for photo in photos]
    embeddings = network(torch.cat([crops(face.crop256) for face in faces]))
    distances = torch.pdist(embeddings)
    assert 0.75 < distances.mean() < 0.9
    assert (distances > SAME_PERSON).float().mean() > 0.95


def test_the_crops_size_hardly_matters(network: IdentityEmbedding, aligned: AlignedFace) -> None:
    assert torch.dist(network(crops(aligned.crop256)), network(crops(aligned.crop1024))) < 0.12


def test_it_is_differentiable_with_respect_to_the_picture_only(
    network: IdentityEmbedding, aligned: AlignedFace
) -> None:
    picture = crops(aligned.crop256).requires_grad_()
    network(picture)[0, 0].backward()
    assert picture.grad is not None
    assert torch.isfinite(picture.grad).all()
    assert picture.grad.abs().max() > 0
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_a_file_with_a_missing_tensor_is_refused(network: IdentityEmbedding) -> None:
    tensors = dict(network.state_dict())
    del tensors["fc.weight"]
    with pytest.raises(RuntimeError, match=r"fc\.weight"):
        IdentityEmbedding.from_tensors(tensors)
