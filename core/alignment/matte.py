"""The alpha matte of a head: hair, face, ears and neck; no clothes, no shoulders, no background.

MediaPipe's network knows persons, not heads. So its mask (four looks, because flags and curtains fool one) is cut again
by colour: a graph cut (GrabCut, Rother et al. 2004) between what is surely head, from landmarks, an average head in
the face's pose and long hair (``hanging``), and what is surely background or clothes, below and beside the neck. A
guided filter (He et al. 2013) then lays the edge along hairs and skin at each size.
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from core.alignment.hanging import hanging_hair
from core.alignment.interpreter import HelperNetwork
from core.alignment.resampling import Pixels, cut
from core.alignment.values import Array, Framing, apply_affine, compose_affine, invert_affine
from core.camera import Camera

Mask = NDArray[np.float32]

WORK = 256  # side at which person network and graph cut run
WIDE = (0.65, 0.45)  # two looks see the crop at these scales, with what surrounds it
FACE_OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
NOSE_BRIDGE = 168
CHIN, JAW_LEFT, JAW_RIGHT = 152, 172, 397
PERSON, DOUBT, NOBODY, SURE = 0.5, 0.5, 0.25, 0.9  # of the person mask
SKULL_CENTRE, SKULL_RADII = (0.0, 0.012, -0.005), (0.066, 0.085, 0.085)  # of an average head, world units
NECK_TOP, NECK_BOTTOM, NECK_RADIUS, NECK_DEPTH, NECK_LEAN = -0.07, -0.16, 0.045, -0.012, 0.25
FAR_HAIR, TOO_FAR = 55, 80  # pixels beyond skull, face and neck: hair must prove itself there, or cannot be
SHOULDER = 25  # below the jaw, what lies further out and has no hair's colour, is no head
NOT_SKIN, NEVER_SKIN = 9.0, 25.0  # squared distances from the face's own skin colour
# Least and most standard deviations in L, a, b: a neck lies in the shade, hair shines, and neither may mean everything.
SKIN_SPREAD = np.array([[25.0, 4.0, 4.0], [60.0, 12.0, 12.0]])
LIKE_HAIR, HAIR_SPREAD = 9.0, np.array([[15.0, 4.0, 4.0], [30.0, 10.0, 10.0]])
FEWEST = 16  # pixels from which a colour can be learnt
STRAND = 7  # pixels; thinner dark bridges are shadows that lead to a suit
ROUNDS = 3  # of the graph cut; more change nothing one can see
BRIDGE = 9  # pixels; what hangs on the head by less is not part of it
FILTER_RADIUS, FILTER_EPSILON = 6, 2e-4  # at WORK pixels; colours in 0..1
EDGE_LOW, EDGE_HIGH = 0.12, 0.88  # the filtered mask is stretched between these


def head_mattes(
    pixels: Pixels,
    to_crop: Array,
    crops: tuple[Pixels, ...],
    landmarks: Array,
    camera: Camera,
    framing: Framing,
    pause: Callable[[], None] = lambda: None,
) -> tuple[Mask, ...]:
    """Mattes of one face at the sizes of several crops of it.

    Args:
        pixels: the photo (H, W, 3).
        to_crop: (2, 3), photo pixels to unit crop coordinates.
        crops: the crop at each size wanted, (S, S, 3); the first must be ``WORK`` pixels wide.
        landmarks: (468, 2) in unit crop coordinates.
        camera: the face's pose.
        framing: where the camera's picture lies in the crop.
        pause: called between steps.

    Returns:
        A matte (S, S) float32, 0 to 1, for each crop.
    """
    person = person_mask(pixels, to_crop, crops[0], pause)
    mask = _cut_head(crops[0], person, landmarks, camera, framing, pause)
    inside = _inside_photo(pixels.shape[0], pixels.shape[1], to_crop)
    mattes = []
    for crop in crops:
        pause()
        size = crop.shape[0]
        matte = _refined(crop, mask, pause)
        matte *= cv2.resize(inside, (size, size), interpolation=cv2.INTER_LINEAR)
        mattes.append(np.asarray(matte, dtype=np.float32))
    return tuple(mattes)


def person_around(pixels: Pixels, to_picture: Array, pause: Callable[[], None] = lambda: None) -> Mask:
    """How likely each pixel of a picture (256, 256) shows a person, 0 to 1: two looks, one of them mirrored.

    Above a head a person is hair: no graph cut need tell it from clothes.

    Args:
        pixels: the photo (H, W, 3).
        to_picture: (2, 3), photo pixels to the picture's unit coordinates.
        pause: called between steps.
    """
    picture = cut(pixels, to_picture, WORK, sharp=False)
    one, other = _both_ways(HelperNetwork("person"), picture, pause)
    return np.asarray(1 / (1 + np.exp(-(one + other) / 2)), dtype=np.float32)


def _both_ways(network: HelperNetwork, picture: Pixels, pause: Callable[[], None]) -> list[Mask]:
    """Looks at a picture as it is, and mirrored."""
    mirrored = np.ascontiguousarray(picture[:, ::-1])
    return [_look(network, picture, pause), _look(network, mirrored, pause)[:, ::-1]]


def _look(network: HelperNetwork, picture: Pixels, pause: Callable[[], None]) -> Mask:
    """Log-odds (256, 256) that a pixel shows a person."""
    out = next(iter(network(picture.astype(np.float32) / 255.0).values()))
    pause()
    odds = np.clip(out.reshape(WORK, WORK), 1e-3, 1 - 1e-3)
    return np.asarray(np.log(odds / (1 - odds)), dtype=np.float32)


def person_mask(pixels: Pixels, to_crop: Array, crop: Pixels, pause: Callable[[], None] = lambda: None) -> Mask:
    """How likely each pixel of the crop (256, 256) shows this person, 0 to 1.

    Four looks in log-odds: the crop, mirrored, and with more of its surroundings twice. Half of their mean and half of
    their minimum: a flag or a bystander rarely fools all of them, and the graph cut returns what one look missed.
    """
    network = HelperNetwork("person")
    looks = _both_ways(network, crop, pause)
    for scale in WIDE:
        margin = (1 - scale) / 2
        shrink = np.array([[scale, 0.0, margin], [0.0, scale, margin]])
        wide = _look(network, cut(pixels, compose_affine(shrink, to_crop), WORK, sharp=False), pause)
        shrink[:, 2] = margin * WORK + 0.5 * scale - 0.5
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        looks.append(np.asarray(cv2.warpAffine(wide, shrink, (WORK, WORK), flags=flags), dtype=np.float32))
    stack = np.stack(looks)
    return np.asarray(1 / (1 + np.exp(-(stack.mean(axis=0) + stack.min(axis=0)) / 2)), dtype=np.float32)


def _cut_head(
    crop: Pixels,
    person: Mask,
    landmarks: Array,
    camera: Camera,
    framing: Framing,
    pause: Callable[[], None] = lambda: None,
) -> Mask:
    """The binary head mask (WORK, WORK) as float32, by a graph cut of the person mask."""
    points = landmarks * WORK
    face = np.zeros((WORK, WORK), np.uint8)
    cv2.fillPoly(face, [points[list(FACE_OVAL)].astype(np.int32)], 1)
    neck = _silhouette(_neck_points(), camera, framing)
    skull = _silhouette(_skull_points(), camera, framing)
    chin, jaw = points[CHIN, 1], (points[JAW_LEFT, 1] + points[JAW_RIGHT, 1]) / 2
    rows = np.arange(WORK)[:, None] + np.zeros((1, WORK))

    label = np.full((WORK, WORK), cv2.GC_PR_FGD, np.uint8)
    label[person <= DOUBT] = cv2.GC_PR_BGD
    distance = cv2.distanceTransform(1 - np.maximum(np.maximum(skull, neck), face), cv2.DIST_L2, 5)
    label[distance > FAR_HAIR] = cv2.GC_PR_BGD
    beside = (neck == 0) & (face == 0)
    lab = cv2.cvtColor(crop, cv2.COLOR_RGB2LAB).astype(np.float32)
    eyes = points[[33, 263], 1].mean()
    cheeks = cv2.erode(face, np.ones((25, 25), np.uint8)) > 0
    skin = _colour_distance(lab, cheeks, SKIN_SPREAD)
    outside = (person > DOUBT) & beside
    hair = _rooted_hair(lab, skin, (person > SURE) & (face == 0), outside, eyes, points[NOSE_BRIDGE, 0])
    collar, shirt = _clothes(lab, cheeks, skin)
    label[(rows > jaw) & (beside | (collar & (face == 0))) & ~(hair & (rows < chin))] = cv2.GC_PR_BGD
    label[(rows > jaw) & shirt & (face == 0) & ~hair] = cv2.GC_BGD
    shoulder = (rows > (chin + WORK) / 2) | ((rows > jaw) & (distance > SHOULDER))
    label[shoulder & beside & ~hair] = cv2.GC_BGD
    label[(person <= NOBODY) | (distance > TOO_FAR)] = cv2.GC_BGD
    label[(person > SURE) & (skull > 0) & (rows < jaw - 20)] = cv2.GC_FGD
    label[cv2.erode(face, np.ones((9, 9), np.uint8)) > 0] = cv2.GC_FGD
    hanging = hanging_hair(crop, person, face > 0, neck > 0, points, distance <= TOO_FAR)
    if hanging is not None:
        label[hanging.hair & (label != cv2.GC_FGD)] = cv2.GC_PR_FGD
        label[cv2.erode(hanging.hair.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0] = cv2.GC_FGD
        label[hanging.clothes & (label != cv2.GC_FGD)] = cv2.GC_BGD
    pause()
    cv2.setRNGSeed(0)  # its k-means; the same photo gives the same matte
    models = np.zeros((1, 65)), np.zeros((1, 65))
    for number in range(ROUNDS):
        pause()
        mode = cv2.GC_INIT_WITH_MASK if number == 0 else cv2.GC_EVAL
        cv2.grabCut(crop, label, (0, 0, 0, 0), models[0], models[1], 1, mode)
    pause()
    mask = ((label == cv2.GC_FGD) | (label == cv2.GC_PR_FGD)).astype(np.uint8)
    return _connected(mask, face).astype(np.float32)


def _colour_distance(lab: Mask, sample: NDArray[np.bool_], spread_range: Array) -> Mask:
    """Squared distance of each colour (S, S, C) from a sample's median, in the sample's own robust deviations.

    Args:
        lab: the picture.
        sample: (S, S), which pixels to learn from.
        spread_range: (2, C), least and most that a deviation may be.
    """
    colours = lab[sample]
    if len(colours) < FEWEST:
        return np.full(lab.shape[:2], np.inf, np.float32)
    middle = np.median(colours, axis=0)
    spread = np.clip(1.5 * 1.4826 * np.median(np.abs(colours - middle), axis=0), *spread_range)
    return np.asarray((((lab - middle) / spread) ** 2).sum(axis=2), dtype=np.float32)


def _clothes(lab: Mask, cheeks: NDArray[np.bool_], skin: Mask) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Where the colour is hardly (first) or certainly not (second) this face's skin: collars, ties and shirts."""
    if np.count_nonzero(cheeks) < FEWEST:
        return np.zeros(cheeks.shape, bool), np.zeros(cheeks.shape, bool)
    hue = _colour_distance(lab[..., 1:], cheeks, SKIN_SPREAD[:, 1:])
    light = lab[..., 0] / np.median(lab[cheeks][:, 0])
    # in deep shade nothing is certain: neither brightness nor hue is the skin's
    certain = (light > 1.0) | ((light > 0.5) & (hue > NEVER_SKIN))
    return skin > NOT_SKIN, (skin > NEVER_SKIN) & certain


def _rooted_hair(
    lab: Mask, skin: Mask, sure: NDArray[np.bool_], possible: NDArray[np.bool_], eyes: float, middle: float
) -> NDArray[np.bool_]:
    """What has the colour of the hair above the row ``eyes`` and hangs from it without a gap, on each side of a column.

    Short hair ends at the ear: what is dark again below is a suit.
    """
    above = np.arange(WORK)[:, None] < eyes
    sample = sure & above
    unlike_skin = sample & (skin > NOT_SKIN / 2)
    if np.count_nonzero(unlike_skin) > np.count_nonzero(sample) / 4:  # not so for fair hair
        sample = unlike_skin
    distance = _colour_distance(lab, sample, HAIR_SPREAD)
    alike = possible & (distance < LIKE_HAIR)
    opened = cv2.morphologyEx(alike.astype(np.uint8), cv2.MORPH_OPEN, np.ones((STRAND, STRAND), np.uint8))
    _, labels = cv2.connectedComponents(opened)
    rooted = np.setdiff1d(np.unique(labels[above & (opened > 0)]), [0])
    hair = np.isin(labels, rooted)
    for side in (np.s_[:, : round(middle)], np.s_[:, round(middle) :]):
        gaps = np.flatnonzero((hair[side].sum(axis=1) < STRAND) & ~above[:, 0])
        if len(gaps):
            hair[side][gaps[0] :] = False
    return hair


def _connected(mask: NDArray[np.uint8], face: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The part of a mask that holds the face and hangs on it by more than a thread; without holes."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (BRIDGE, BRIDGE))
    core = cv2.morphologyEx(mask, cv2.MORPH_OPEN, disc)
    count, labels = cv2.connectedComponents(core)
    if count > 1:
        sizes = np.bincount(labels[(face > 0) & (core > 0)], minlength=count)
        sizes[0] = 0
        core = (labels == sizes.argmax()).astype(np.uint8)
    grown = np.asarray(cv2.dilate(core, disc), np.uint8) & mask  # gives curls and ear tips back
    outside, labels = cv2.connectedComponents(1 - grown)
    border = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    background = np.isin(labels, border) & (grown == 0)
    return np.asarray(~background if outside > 1 else grown > 0).astype(np.uint8)


def _refined(crop: Pixels, mask: Mask, pause: Callable[[], None]) -> Mask:
    """The mask at the crop's size, its edge following the crop's colours (guided filter with a colour guide)."""
    size = crop.shape[0]
    work = min(size, 2 * WORK)  # the filter's coefficients are smooth: half size is enough for a large crop
    guide = np.asarray(cv2.resize(crop, (work, work), interpolation=cv2.INTER_AREA), np.float32) / np.float32(255.0)
    start = np.asarray(cv2.resize(mask, (work, work), interpolation=cv2.INTER_LINEAR), np.float32)
    slope, offset = _guided_coefficients(guide, start, FILTER_RADIUS * work // WORK, FILTER_EPSILON, pause)
    pause()
    if work != size:
        slope = np.asarray(cv2.resize(slope, (size, size), interpolation=cv2.INTER_LINEAR), np.float32)
        offset = np.asarray(cv2.resize(offset, (size, size), interpolation=cv2.INTER_LINEAR), np.float32)
        guide = crop.astype(np.float32) / np.float32(255.0)
    matte = (slope * guide).sum(axis=2) + offset
    return np.asarray(np.clip((matte - EDGE_LOW) / (EDGE_HIGH - EDGE_LOW), 0.0, 1.0), dtype=np.float32)


def _guided_coefficients(
    guide: Mask, mask: Mask, radius: int, epsilon: float, pause: Callable[[], None]
) -> tuple[Mask, Mask]:
    """He et al. 2013, equations 14 and 15: slope (S, S, 3) and offset (S, S) of the local linear model."""

    def mean(values: Mask) -> Mask:
        return np.asarray(cv2.blur(values, (2 * radius + 1, 2 * radius + 1)), dtype=np.float32)

    average, mask_average = mean(guide), mean(mask)
    covariance = mean(guide * mask[..., None]) - average * mask_average[..., None]
    pairs = [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)]
    moments = [mean(guide[..., i] * guide[..., j]) for i, j in pairs]
    rr, rg, rb, gg, gb, bb = (
        moment - average[..., i] * average[..., j] + (epsilon if i == j else 0.0)
        for moment, (i, j) in zip(moments, pairs, strict=True)
    )
    pause()
    # the symmetric 3 x 3 inverse, written out: a batched solver is ten times slower
    i_rr, i_rg, i_rb = gg * bb - gb * gb, gb * rb - rg * bb, rg * gb - gg * rb
    i_gg, i_gb, i_bb = rr * bb - rb * rb, rb * rg - rr * gb, rr * gg - rg * rg
    determinant = rr * i_rr + rg * i_rg + rb * i_rb
    r, g, b = covariance[..., 0], covariance[..., 1], covariance[..., 2]
    rows = [i_rr * r + i_rg * g + i_rb * b, i_rg * r + i_gg * g + i_gb * b, i_rb * r + i_gb * g + i_bb * b]
    pause()
    slope = np.asarray(np.stack(rows, axis=2) / determinant[..., None], np.float32)
    offset = mask_average - (slope * average).sum(axis=2)
    return mean(slope), mean(np.asarray(offset, np.float32))


def _inside_photo(height: int, width: int, to_crop: Array) -> Mask:
    """1 where the crop shows the photo, 0 where it was mirrored, (WORK, WORK); a ramp of two pixels at its edge."""
    centres = (np.arange(WORK) + 0.5) / WORK
    places = apply_affine(invert_affine(to_crop), np.stack(np.meshgrid(centres, centres), axis=-1))
    edge = np.minimum(places, np.array([width, height]) - places).min(axis=2)  # photo pixels to the nearest edge
    per_pixel = np.sqrt(abs(np.linalg.det(to_crop[:, :2]))) * WORK
    return np.clip(edge * per_pixel / 2, 0.0, 1.0).astype(np.float32)


def _silhouette(points: Array, camera: Camera, framing: Framing) -> NDArray[np.uint8]:
    """Convex outline (WORK, WORK) of world points (N, 3) in the crop."""
    picture = apply_affine(framing.matrix(), (camera.project(points)[0] + 1.0) / 2.0) * WORK
    mask = np.zeros((WORK, WORK), np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(picture.astype(np.int32)), 1)
    return mask


def _neck_points() -> Array:
    """A cone from under the jaw, leaning back with depth, wider towards the shoulders."""
    angle = np.linspace(0.0, 2 * np.pi, 24, endpoint=False)
    rings = []
    for y in np.linspace(NECK_TOP, NECK_BOTTOM, 8):
        radius = NECK_RADIUS * (1 + 0.25 * max(0.0, (-y - 0.10) / 0.06))
        depth = NECK_DEPTH - (NECK_TOP - y) * NECK_LEAN
        rings.append(np.stack([radius * np.sin(angle), np.full(24, y), depth + radius * np.cos(angle)], axis=1))
    return np.concatenate(rings)


def _skull_points() -> Array:
    angle, height = np.meshgrid(np.linspace(0, 2 * np.pi, 24, endpoint=False), np.linspace(-np.pi / 2, np.pi / 2, 13))
    sphere = np.stack([np.cos(height) * np.sin(angle), np.sin(height), np.cos(height) * np.cos(angle)], axis=-1)
    return np.asarray(sphere.reshape(-1, 3) * SKULL_RADII + SKULL_CENTRE)
