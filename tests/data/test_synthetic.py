"""The synthetic world: repeatable, aligned, and honest about what each modality can see."""

from __future__ import annotations

import csv
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageFilter

from mswin_viz.data.synthetic.captions import caption_of
from mswin_viz.data.synthetic.identity import Identity, attributes, sample_identity
from mswin_viz.data.synthetic.lookalikes import GROUP, LOOKALIKES, lookalike_difference, sample_lookalike
from mswin_viz.data.synthetic.render import part_masks, render
from mswin_viz.data.synthetic.shots import shot_conditions
from mswin_viz.data.synthetic.write_samples import write_samples
from mswin_viz.errors import OptionError

# Shading and camera blur carry a part's edge this many pixels beyond its mask.
REACH = 12
PROMPT = re.compile(r"a person wearing an? (\w+) top")


def view_of(identity: Identity, *, camera: int, shot: int, seed: int = 0) -> str:
    return shot_conditions(identity, camera, shot, seed).pose.view


def grown(mask: np.ndarray, pixels: int) -> np.ndarray:
    image = Image.fromarray(mask.astype(np.uint8) * 255)
    return np.asarray(image.filter(ImageFilter.MaxFilter(2 * pixels + 1))) > 0


def test_same_seed_gives_the_same_person_and_the_same_bytes():
    first, second = (sample_identity(5, seed=3) for _ in range(2))
    assert first == second
    for one, two in zip(*(render(first, camera=2, shot=1, seed=3).values() for _ in range(2)), strict=True):
        assert one.tobytes() == two.tobytes()


@pytest.mark.parametrize("change", [{"seed": 4}, {"camera": 1}, {"shot": 2}])
def test_another_seed_camera_or_shot_gives_another_picture(change):
    who, where = sample_identity(5, seed=3), {"camera": 2, "shot": 1, "seed": 3}
    assert not np.array_equal(render(who, **where)["RGB"], render(who, **(where | change))["RGB"])


def test_another_seed_gives_other_people():
    assert [sample_identity(p, seed=0) for p in range(9)] != [sample_identity(p, seed=1) for p in range(9)]


@pytest.mark.parametrize("camera", range(4))
def test_modalities_are_aligned_upright_pictures(camera):
    seen = render(sample_identity(1), camera=camera, shot=0)
    assert list(seen) == ["RGB", "NI", "TI"]
    assert all(picture.shape == (256, 128, 3) and picture.dtype == np.uint8 for picture in seen.values())


@pytest.mark.parametrize("modality", ["NI", "TI"])
def test_infrared_pictures_are_grey(modality):
    picture = render(sample_identity(2), camera=0, shot=0)[modality]
    assert (picture == picture[..., :1]).all()


@pytest.mark.parametrize("part", ["upper_colour", "lower_colour", "shoes_colour"])
def test_dye_changes_the_visible_picture_and_no_infrared_byte(part):
    who = replace(sample_identity(6), **{part: "red"})
    dyed = replace(who, **{part: "blue"})
    before, after = render(who, camera=0, shot=0), render(dyed, camera=0, shot=0)
    assert not np.array_equal(before["RGB"], after["RGB"])
    assert before["NI"].tobytes() == after["NI"].tobytes()
    assert before["TI"].tobytes() == after["TI"].tobytes()


def test_near_infrared_follows_the_material():
    who = sample_identity(6)
    dark, bright = (replace(who, upper_nir=value, pattern="plain") for value in (0.2, 0.9))
    mask = part_masks(who, camera=0, shot=0)["upper"]
    level = [render(one, camera=0, shot=0)["NI"][mask].mean() for one in (dark, bright)]
    assert level[1] > 2 * level[0]


def test_bare_skin_is_warmer_than_bags_and_surroundings():
    who = replace(
        sample_identity(6), bag="backpack", bag_colour="red", upper_type="t-shirt", lower_type="shorts"
    )
    masks = part_masks(who, camera=0, shot=0)
    warmth = render(who, camera=0, shot=0)["TI"][..., 0]
    nothing = ~np.any(list(masks.values()), axis=0)
    assert warmth[masks["skin"]].mean() > warmth[masks["bag"]].mean() + 60
    assert warmth[masks["skin"]].mean() > warmth[nothing].mean() + 60


@pytest.mark.parametrize("bag", ["backpack", "handbag", "shoulder bag"])
@pytest.mark.parametrize("shot", range(4))
def test_changing_only_the_bag_changes_only_the_bags_region(bag, shot):
    bare = replace(sample_identity(3), bag="none", bag_colour="none", strap_colour="none")
    carrying = replace(bare, bag=bag, bag_colour="red", strap_colour="black")
    before, after = (render(one, camera=1, shot=shot) for one in (bare, carrying))
    mask = part_masks(carrying, camera=1, shot=shot)["bag"]
    changed = np.any([np.any(before[m] != after[m], axis=2) for m in before], axis=0)
    assert not (changed & ~grown(mask, REACH)).any()
    assert changed[mask].mean() > 0.9


@pytest.mark.parametrize("part", ["skin", "upper", "lower"])
def test_clothes_and_skin_have_pixels_in_most_shots(part):
    counts = [part_masks(sample_identity(p), camera=p % 4, shot=0)[part].sum() for p in range(24)]
    assert np.mean(np.array(counts) > 30) > 0.85


def test_a_part_that_is_not_worn_has_no_pixels():
    who = replace(sample_identity(4), bag="none", hat="none", hair="bald")
    masks = part_masks(who, camera=0, shot=0)
    assert not any(masks[part].any() for part in ("bag", "hat"))


def test_masks_follow_the_person_not_the_transposed_picture():
    masks = part_masks(sample_identity(4), camera=0, shot=0)
    rows = {part: np.nonzero(masks[part])[0].mean() for part in ("upper", "lower")}
    assert rows["upper"] < rows["lower"]


def test_every_view_occurs_about_equally_often():
    views = [view_of(sample_identity(p), camera=p % 4, shot=0) for p in range(400)]
    assert {view: views.count(view) > 70 for view in ("front", "back", "left", "right")} == dict.fromkeys(
        ("front", "back", "left", "right"), True
    )


def test_upper_colours_are_roughly_uniform():
    words = [sample_identity(p, seed=9).upper_colour for p in range(1000)]
    assert len(set(words)) == 10
    assert all(60 < words.count(word) < 145 for word in set(words))


def test_people_who_differ_in_a_logo_alone_look_different_there():
    who = replace(sample_identity(3), bag="none", logo="none", upper_type="sweater")
    marked = replace(who, logo="centre")
    front = next(s for s in range(40) if view_of(who, camera=0, shot=s) == "front")
    mask = part_masks(marked, camera=0, shot=front)["logo"]
    before, after = (render(one, camera=0, shot=front)["RGB"] for one in (who, marked))
    changed = np.any(before != after, axis=2)
    assert mask.any()
    assert changed.any()
    assert not (changed & ~grown(mask, REACH)).any()


@pytest.mark.parametrize(
    ("part", "bare", "worn"),
    [
        ("glasses", {"glasses": "none"}, {"glasses": "dark"}),
        ("hat", {"hat": "none", "hat_colour": "none"}, {"hat": "cap", "hat_colour": "red"}),
        ("logo", {"logo": "none"}, {"logo": "left"}),
        ("upper", {"quilting": 0}, {"quilting": 6}),
    ],
)
def test_every_small_attribute_has_pixels_and_changes_its_own_region(part, bare, worn):
    who = replace(sample_identity(3), bag="none", upper_type="jacket", pattern="plain", hair="short", **bare)
    wearing = replace(who, **worn)
    front = next(s for s in range(40) if view_of(who, camera=0, shot=s) == "front")
    before, after = (render(one, camera=0, shot=front) for one in (who, wearing))
    mask = part_masks(wearing, camera=0, shot=front)[part]
    changed = np.any([np.any(before[m] != after[m], axis=2) for m in before], axis=0)
    assert changed.sum() > 20
    assert not (changed & ~grown(mask, REACH)).any()


@pytest.mark.parametrize(
    ("cut", "change"),
    [
        ("trousers", {"fit": 1.25}),
        ("trousers", {"flare": 0.7}),
        ("skirt", {"skirt_hem": 0.78}),
        ("shorts", {"fit": 1.25}),
        ("leggings", {"fit": 1.25}),
    ],
)
def test_the_cut_of_a_garment_shows_in_every_modality(cut, change):
    who = replace(
        sample_identity(3), lower_type=cut, fit=0.86, flare=0.0, skirt_hem=0.63, upper_type="t-shirt"
    )
    before, after = (render(one, camera=0, shot=0) for one in (who, replace(who, **change)))
    assert all((before[modality] != after[modality]).any() for modality in before)


@pytest.mark.parametrize("group", range(6))
def test_look_alikes_differ_in_one_small_thing(group):
    people = [sample_lookalike(GROUP * group + i, seed=3) for i in range(GROUP)]
    words = [{k: v for k, v in attributes(person).items() if k != "pid"} for person in people]
    thing = lookalike_difference(GROUP * group, seed=3)
    assert thing in LOOKALIKES
    assert {key for key in words[0] if len({word[key] for word in words}) > 1} == {thing}
    assert len({word[thing] for word in words}) == GROUP


def test_groups_of_look_alikes_are_other_people_than_the_worlds_own():
    alike = {replace(sample_lookalike(pid, seed=3), pid=0, stride=1.0) for pid in range(0, 40, GROUP)}
    own = {replace(sample_identity(pid, seed=3), pid=0, stride=1.0) for pid in range(200)}
    assert len(alike) == 10
    assert not alike & own


def test_a_stripe_width_or_strap_that_tells_look_alikes_apart_can_be_seen():
    people = [sample_lookalike(pid, seed=3) for pid in range(0, 160, GROUP)]
    for person in people:
        thing = lookalike_difference(person.pid, seed=3)
        assert thing != "stripe_width" or person.pattern != "plain"
        assert thing != "strap_colour" or person.bag != "none"


def test_grey_clothes_are_grey():
    for pid in range(40):
        who = replace(
            sample_identity(pid), upper_colour="grey", pattern="plain", upper_type="sweater", bag="none"
        )
        mask = part_masks(who, camera=2, shot=0)["upper"]
        if mask.sum() > 200:
            red, green, blue = render(who, camera=2, shot=0)["RGB"][mask].mean(axis=0)
            assert max(red, green, blue) - min(red, green, blue) < 32


def test_a_caption_can_say_bag_or_no_bag_and_nothing_more():
    rng, who = np.random.default_rng(0), sample_identity(0)
    carrying = {caption_of(replace(who, bag="handbag"), ["any_bag"], rng=rng) for _ in range(60)}
    without = {caption_of(replace(who, bag="none"), ["any_bag"], rng=rng) for _ in range(60)}
    assert "a person carrying a bag" in carrying
    assert "a person carrying no bag" in without
    assert not any("handbag" in text for text in carrying)


def test_captions_name_the_true_colour():
    rng = np.random.default_rng(0)
    for pid in range(60):
        who = sample_identity(pid)
        assert who.upper_colour in caption_of(who, ["upper_colour"], rng=rng).split()


def test_captions_say_nothing_beyond_their_keys():
    rng, who = np.random.default_rng(0), replace(sample_identity(0), upper_colour="red", lower_colour="blue")
    for _ in range(50):
        words = set(re.findall(r"[\w-]+", caption_of(who, ["upper_colour"], rng=rng)))
        others = {value for key, value in attributes(who).items() if key not in ("pid", "upper_colour")}
        assert not words & (others - {"red", "none", "top"})


def test_the_prompt_form_is_among_the_captions_and_wording_varies():
    rng, who = np.random.default_rng(0), replace(sample_identity(0), upper_colour="orange")
    forms = {caption_of(who, ["upper_colour"], rng=rng) for _ in range(60)}
    assert "a person wearing an orange top" in forms
    assert len(forms) > 3


def test_a_full_caption_reads_as_a_sentence():
    who = replace(
        sample_identity(0), hair="long", hair_colour="brown", upper_colour="red", pattern="striped",
        upper_type="jacket", lower_colour="blue", lower_type="trousers", bag="backpack", bag_colour="black",
    )  # fmt: skip
    keys = [
        "hair",
        "hair_colour",
        "upper_colour",
        "pattern",
        "upper_type",
        "lower_colour",
        "lower_type",
        "bag",
    ]
    forms = {caption_of(who, [*keys, "bag_colour"], rng=np.random.default_rng(s)) for s in range(80)}
    assert (
        "a person with long brown hair wearing a red striped jacket and blue trousers, "
        "carrying a black backpack"
    ) in forms
    assert all(form == form.lower() for form in forms)


def test_an_unknown_caption_key_is_named_in_the_error():
    with pytest.raises(OptionError, match="'mood'"):
        caption_of(sample_identity(0), ["mood"], rng=np.random.default_rng(0))


@pytest.mark.parametrize("wrong", [{"camera": 4}, {"camera": -1}, {"shot": -1}])
def test_a_shot_that_does_not_exist_is_refused(wrong):
    with pytest.raises(OptionError, match=r"got (camera )?-?\d"):
        render(sample_identity(0), **({"camera": 0, "shot": 0} | wrong))


def written(root) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }


def test_samples_are_named_like_rgbnt201(tmp_path):
    root = write_samples(tmp_path, identities=2, cameras=3, shots=1)
    names = sorted(path.name for path in (root / "test" / "NI").iterdir())
    assert names == [f"{pid:06d}_cam{camera}_0_00.jpg" for pid in (1, 2) for camera in (1, 2, 3)]
    assert [int(name[:6]) for name in names] == [1, 1, 1, 2, 2, 2]
    assert [name.split("_")[1] for name in names] == ["cam1", "cam2", "cam3"] * 2
    for modality in ("RGB", "TI"):
        assert sorted(path.name for path in (root / "test" / modality).iterdir()) == names


def test_the_table_of_samples_holds_the_true_attributes(tmp_path):
    root = write_samples(tmp_path, identities=3, cameras=1, shots=1, seed=2)
    with (root / "attributes.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    truth = [attributes(sample_identity(pid, seed=2)) | {"pid": f"{pid:06d}"} for pid in (1, 2, 3)]
    captions = [row.pop("caption") for row in rows]
    assert rows == truth
    assert all(row["upper_colour"] in caption for row, caption in zip(rows, captions, strict=True))


def test_samples_written_twice_hold_the_same_bytes(tmp_path):
    size = {"identities": 2, "cameras": 2, "shots": 1, "seed": 5}
    first = written(write_samples(tmp_path / "a", **size))
    assert written(write_samples(tmp_path / "b", **size)) == first
    assert written(write_samples(tmp_path / "a", **size)) == first


def test_look_alikes_are_written_in_whole_groups(tmp_path):
    root = write_samples(tmp_path, identities=4, cameras=1, shots=1, lookalikes=True)
    with (root / "attributes.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["pid"] for row in rows] == [f"{pid:06d}" for pid in range(4, 8)]
    thing = lookalike_difference(4)
    assert len({row[thing] for row in rows}) == 4


@pytest.mark.parametrize("wrong", [{"identities": 0}, {"cameras": 0}, {"shots": -1}, {"cameras": 5}])
def test_impossible_counts_are_refused_and_nothing_is_written(tmp_path, wrong):
    with pytest.raises(OptionError, match=rf"{next(iter(wrong.values()))}; ask for"):
        write_samples(tmp_path, **wrong)
    assert not list(tmp_path.iterdir())


def test_samples_of_another_world_are_not_overwritten(tmp_path):
    root = write_samples(tmp_path, identities=1, cameras=1, shots=1, seed=0)
    before = written(root)
    with pytest.raises(OptionError, match="choose another folder"):
        write_samples(tmp_path, identities=1, cameras=1, shots=1, seed=1)
    assert written(root) == before


def test_a_picture_that_somebody_changed_is_not_replaced(tmp_path):
    root = write_samples(tmp_path, identities=1, cameras=1, shots=1)
    changed = root / "test" / "RGB" / "000001_cam1_0_00.jpg"
    changed.write_bytes(b"mine")
    with pytest.raises(OptionError, match="must not replace"):
        write_samples(tmp_path, identities=1, cameras=1, shots=1)
    assert changed.read_bytes() == b"mine"
