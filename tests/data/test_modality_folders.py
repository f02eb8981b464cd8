"""Folders of modalities under whatever name and at whatever level: infrared is never taken for RGB."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.trees import each, grow, places, said

import mswin_viz as mv
from mswin_viz.data.sets.modalities import AMBIGUOUS, modality_of, modality_word
from mswin_viz.errors import DataError

NAME = "000258_cam3_0_01.jpg"
TRIOS = [
    ("RGB", "NI", "TI"),
    ("rgb", "ni", "ti"),
    ("RGB", "NIR", "TIR"),
    ("vis", "ni", "th"),
    ("VIS", "NIR", "TH"),
    ("Visible", "Near_Infrared", "Thermal"),
    ("color", "near", "thermal"),
    ("colour", "near-infrared", "thermal_infrared"),
    ("RGB images", "nir_images", "thermal-images"),
    ("RGBImages", "NearInfrared", "ThermalInfrared"),
    ("visible", "nearIR", "LWIR"),
]
WORDS = {
    "RGB": ["RGB", "VIS", "visible", "color", "colour"],
    "NI": ["NI", "NIR", "near", "near_infrared", "near-infrared", "near infrared", "nearinfrared"],
    "TI": ["TI", "TIR", "TH", "thermal", "thermal_infrared", "LWIR"],
}


@pytest.mark.parametrize("trio", TRIOS, ids="-".join)
@pytest.mark.parametrize(
    "pattern", ["test/{m}/", "{m}/test/", "d/e/RGBNT201/test/{m}/", "RGBNT201/test/{m}/images/", "test/000258/{m}/"]
)  # fmt: skip
def test_a_shot_has_its_three_modalities_and_its_identity(tmp_path: Path, trio, pattern: str) -> None:
    root = grow(tmp_path / "data", *each(trio, pattern + NAME))
    (sample,) = mv.samples(root)
    assert said(sample) == (258, 3, "test")
    assert places(sample, root) == dict(zip(WORDS, each(trio, pattern + NAME), strict=True))


@pytest.mark.parametrize("trio", TRIOS, ids="-".join)
@pytest.mark.parametrize(
    "pattern", ["{m}/a.jpg", "x/{m}/a.jpg", "x/y/{m}/a.jpg", "{m}/x/a.jpg", "0007/{m}/a.jpg"]
)
def test_names_that_say_nothing_are_brought_together_all_the_same(tmp_path: Path, trio, pattern: str) -> None:
    root = grow(tmp_path / "data", *each(trio, pattern))
    (sample,) = mv.scan(root).samples
    assert places(sample, root) == dict(zip(WORDS, each(trio, pattern), strict=True))


@given(
    st.sampled_from([(m, w) for m, words in WORDS.items() for w in words]), st.randoms(use_true_random=False)
)
def test_case_does_not_matter(pair: tuple[str, str], random) -> None:
    modality, word = pair
    spelled = "".join(random.choice((letter.lower(), letter.upper())) for letter in word)
    assert modality_of(spelled) == modality


@pytest.mark.parametrize(
    "name", ["test", "0001", "query", "RGBNT201", "nice", "titan", "near_door", "th_1", "think"]
)
def test_other_names_are_no_modality(name: str) -> None:
    assert modality_word(name)[0] is None


@pytest.mark.parametrize("name", ["IR", "ir", "infrared", "Infra_Red", "IR_images"])
def test_infrared_alone_is_not_decided(name: str) -> None:
    assert modality_word(name) == (AMBIGUOUS, "")


def test_near_and_thermal_infrared_without_rgb_are_what_they_are(tmp_path: Path) -> None:
    root = grow(tmp_path / "data", "NI/a.jpg", "TI/a.jpg", "TI/b.jpg")
    assert [set(sample.images) for sample in mv.scan(root).samples] == [{"NI", "TI"}, {"TI"}]


@pytest.mark.parametrize("folder", ["NIR", "thermal"])
def test_a_folder_of_one_infrared_modality_is_no_rgb_and_lacks_nothing(tmp_path: Path, folder: str) -> None:
    root = grow(tmp_path / "data", f"{folder}/a.jpg", f"{folder}/b.jpg")
    report = mv.scan(root)
    assert {name for sample in report.samples for name in sample.images} == {modality_of(folder)}
    assert report.sound


@pytest.mark.parametrize(
    ("inside", "modality"), [("test/nir", "NI"), ("test/Thermal", "TI"), ("test/vis", "RGB")]
)
def test_a_modality_folder_pointed_to_is_read_as_that_modality(
    tmp_path: Path, inside: str, modality: str
) -> None:
    root = grow(tmp_path / "RGBNT201", f"{inside}/{NAME}", f"test/other/{NAME}")
    (sample,) = mv.samples(root / inside)
    assert (said(sample), set(sample.images)) == ((258, 3, "test"), {modality})


def test_one_file_pointed_to_has_the_modality_of_its_folder(tmp_path: Path) -> None:
    grow(tmp_path / "RGBNT201", f"test/TIR/{NAME}")
    (sample,) = mv.samples(tmp_path / "RGBNT201" / "test" / "TIR" / NAME)
    assert set(sample.images) == {"TI"}


def test_an_undecided_folder_is_left_out_and_named(tmp_path: Path) -> None:
    root = grow(tmp_path / "data", "RGB/a.jpg", "IR/a.jpg", "IR/b.jpg")
    with pytest.warns(
        UserWarning, match=r"modality not known.*IR: 2 left out; IR may be near or thermal.*NI or TI"
    ):
        (sample,) = mv.samples(root)
    assert places(sample, root) == {"RGB": "RGB/a.jpg"}


def test_an_undecided_folder_is_named_once_whatever_lies_in_it(tmp_path: Path) -> None:
    root = grow(tmp_path / "data", "RGB/x/a.jpg", "RGB/y/b.jpg", "Infrared/x/a.jpg", "Infrared/y/b.jpg")
    (problem,) = (one for one in mv.scan(root).problems if one.kind == "modality not known")
    assert (problem.path, problem.detail.split(":")[0]) == (
        root / "Infrared",
        "2 left out; Infrared may be near or thermal infrared",
    )


def test_nothing_but_undecided_pictures_is_refused_with_the_way_out(tmp_path: Path) -> None:
    root = grow(tmp_path / "data", "infrared/a.jpg")
    with pytest.raises(
        DataError, match="infrared may be near or thermal infrared: rename the folder to NI or TI"
    ):
        mv.samples(root)
    with pytest.warns(UserWarning, match="infrared: near or thermal infrared"):
        assert set(mv.samples(root, "folder")[0].images) == {"RGB"}


def test_near_infrared_inside_an_undecided_folder_is_decided(tmp_path: Path) -> None:
    root = grow(tmp_path / "data", "NI/infrared/a.jpg", "infrared/thermal/a.jpg", "RGB/a.jpg")
    assert places(mv.scan(root).samples[0], root) == {
        "RGB": "RGB/a.jpg",
        "NI": "NI/infrared/a.jpg",
        "TI": "infrared/thermal/a.jpg",
    }


@pytest.mark.parametrize("names", [("rgb_thermal",), ("R", "N", "T"), ("th_1",)])
def test_a_name_that_looks_like_a_modality_and_is_not_used_is_named(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    root = grow(tmp_path / "data", *(f"{name}/a.jpg" for name in names), "other/b.jpg")
    with pytest.warns(UserWarning, match=f"modality not used.*{names[0]}"):
        mv.samples(root)
    assert [problem.path.name for problem in mv.scan(root).problems] == sorted(names)


def test_splits_and_modalities_in_one_name_are_both_read(tmp_path: Path) -> None:
    names = each(("rgb", "nir", "thermal"), f"train_{{m}}/{NAME}", "test_{m}/000301_cam1_0.jpg")
    assert [said(s) for s in mv.samples(grow(tmp_path / "data", *names))] == [
        (301, 1, "test"),
        (258, 3, "train"),
    ]


def test_two_spellings_of_one_modality_lose_no_file(tmp_path: Path) -> None:
    root = grow(
        tmp_path / "data", *each(("RGB", "NI", "ni", "TI"), f"test/{{m}}/{NAME}"), "test/ni/000300_cam1_0.jpg"
    )
    report = mv.scan(root)
    files = [path for sample in report.samples for path in sample.images.values()]
    assert len(files) == len(set(files)) == 5
    (twice,) = (problem for problem in report.problems if problem.kind == "same name twice")
    assert (twice.path, twice.detail) == (
        root / "test" / "ni" / NAME,
        f"NI/{NAME} has the same name and modality; loaded as another sample",
    )


@pytest.mark.parametrize(
    "endings", [(".jpg", ".jpg", ".png"), (".png", ".jpg", ".bmp"), (".JPG", ".jpg", ".jpg")]
)
def test_modalities_are_brought_together_whatever_their_endings(tmp_path: Path, endings) -> None:
    names = [f"test/{folder}/000258_cam3_0_01{ending}" for folder, ending in zip(WORDS, endings, strict=True)]
    root = grow(tmp_path / "data", *names)
    (sample,) = mv.samples(root)
    assert places(sample, root) == dict(zip(WORDS, names, strict=True))


def test_files_of_one_name_and_two_endings_are_both_loaded_and_reported(tmp_path: Path) -> None:
    root = grow(
        tmp_path / "data", *each(("RGB", "NI", "TI"), f"test/{{m}}/{NAME}"), "test/RGB/000258_cam3_0_01.png"
    )
    report = mv.scan(root)
    assert [set(sample.images) for sample in report.samples] == [{"RGB", "NI", "TI"}, {"RGB"}]
    assert report.counts == {"same name twice": 1}
    assert report.problems[0].path.suffix == ".png"


def test_whole_shots_in_two_formats_stay_two_whole_shots(tmp_path: Path) -> None:
    root = grow(
        tmp_path / "data",
        *each(("RGB", "NI", "TI"), "test/{m}/000258_cam3_0.jpg", "test/{m}/000258_cam3_0.png"),
    )
    shots = [{path.suffix for path in sample.images.values()} for sample in mv.scan(root).samples]
    assert shots == [{".jpg"}, {".png"}]


def test_modalities_whose_names_never_agree_are_reported_once(tmp_path: Path) -> None:
    root = grow(tmp_path / "data", "RGB/a_v_1.jpg", "RGB/b_v_1.jpg", "TI/a_t_1.jpg", "TI/b_t_1.jpg")
    report = mv.scan(root)
    assert report.counts == {"modalities not paired": 1}
    assert [set(sample.images) for sample in report.samples] == [{"RGB"}, {"RGB"}, {"TI"}, {"TI"}]


def test_the_place_of_a_missing_file_is_spelled_as_its_folder_is(tmp_path: Path) -> None:
    root = grow(
        tmp_path / "data", *each(("vis", "nir"), f"test/{{m}}/{NAME}"), "test/thermal/000300_cam1_0.jpg"
    )
    missing = {problem.path.relative_to(root).as_posix() for problem in mv.scan(root).problems}
    assert missing == {f"test/thermal/{NAME}", "test/vis/000300_cam1_0.jpg", "test/nir/000300_cam1_0.jpg"}


@pytest.mark.parametrize("around", ["RGB", "visible", "thermal", "infrared"])
def test_a_modality_that_names_the_whole_set_does_not_tear_shots_apart(tmp_path: Path, around: str) -> None:
    root = grow(tmp_path / "data", *each(("RGB", "NI", "TI"), f"{around}/RGBNT201/test/{{m}}/{NAME}"))
    (sample,) = mv.samples(root)
    assert (said(sample), set(sample.images)) == ((258, 3, "test"), {"RGB", "NI", "TI"})


def test_infrared_in_file_names_of_one_folder_is_named(tmp_path: Path) -> None:
    root = grow(tmp_path / "data", "a_rgb.jpg", "a_nir.jpg", "a_tir.jpg")
    with pytest.warns(UserWarning, match="2 file names mention infrared light; loaded as RGB"):
        assert len(mv.samples(root)) == 3


@pytest.mark.parametrize(
    "names",
    [
        ("RGB/000258_cam3_0_rgb.jpg", "NI/000258_cam3_0_nir.jpg", "TI/000258_cam3_0_thermal.jpg"),
        ("vis/vis_000258_cam3_0.jpg", "ni/ni_000258_cam3_0.jpg", "th/th_000258_cam3_0.png"),
        ("RGB/000258_cam3_0.jpg", "NI/000258_cam3_NIR_0.jpg", "TI/000258_cam3_0-TIR.jpg"),
    ],
)
def test_the_modality_in_a_file_name_does_not_tear_shots_apart(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    root = grow(tmp_path / "data", *(f"test/{name}" for name in names))
    (sample,) = mv.samples(root)
    assert said(sample) == (258, 3, "test")
    assert places(sample, root) == dict(zip(WORDS, (f"test/{name}" for name in names), strict=True))


@pytest.mark.parametrize("split", ["train", "query", "gallery"])
def test_vehicles_with_folders_of_modalities_and_market_names_are_read(tmp_path: Path, split: str) -> None:
    root = grow(tmp_path / "data", *each(("rgb", "nir", "thermal"), f"{{m}}/{split}/0007_c8_0100.jpg"))
    report = mv.scan(root)
    assert (report.layout, [said(sample) for sample in report.samples]) == ("market_style", [(7, 8, split)])


SHOTS = ("000001_cam1_0_00.jpg", "000001_cam2_0_01.jpg", "000002_cam1_0_00.jpg")


@pytest.mark.parametrize(
    "folders", [("RGBs", "NIs", "TIs"), ("1_RGB", "2_NI", "3_TI"), ("01-vis", "02-ni", "03-th")]
)
def test_plurals_and_numbers_before_the_name_do_not_hide_a_modality(
    tmp_path: Path, folders: tuple[str, ...]
) -> None:
    report = mv.scan(grow(tmp_path, *each(folders, *(f"test/{{m}}/{name}" for name in SHOTS))))
    assert (report.layout, len(report.samples), report.sound) == ("rgbnt201", 3, True)
    assert [set(sample.images) for sample in report.samples] == 3 * [{"RGB", "NI", "TI"}]


@pytest.mark.parametrize(
    ("folders", "detail"),
    [
        (("R", "N", "T"), "N looks like a modality; loaded as RGB: rename it to RGB, NI or TI"),
        (("v", "i"), "i looks like a modality; loaded as RGB: rename it to RGB, NI or TI"),
        (("A", "B", "C"), "3 names occur in more than one of the folders A, B, C; each file is loaded as an RGB sample"),
        (("flir", "webcam"), "3 names occur in more than one of the folders flir, webcam; each file is loaded as"),
    ],
)  # fmt: skip
def test_identities_in_names_do_not_hide_that_modality_folders_are_unknown(
    tmp_path: Path, folders: tuple[str, ...], detail: str
) -> None:
    report = mv.scan(grow(tmp_path, *each(folders, *(f"test/{{m}}/{name}" for name in SHOTS))))
    problem = report.problems[0]
    assert (report.layout, problem.kind) == ("market_style", "modality not used")
    assert problem.detail.startswith(detail)


def test_modalities_at_the_end_of_file_names_are_named(tmp_path: Path) -> None:
    names = [f"test/{name[:-4]}_{word}.jpg" for name in SHOTS for word in ("rgb", "ni", "ti")]
    (problem,) = mv.scan(grow(tmp_path, *names)).problems
    assert problem.kind == "modality not used"
    assert problem.detail.startswith("6 file names mention infrared light; loaded as RGB")


@pytest.mark.parametrize("splits", [("query", "gallery"), ("train", "test")])
def test_the_same_names_in_two_splits_are_no_modalities(tmp_path: Path, splits: tuple[str, ...]) -> None:
    assert mv.scan(grow(tmp_path, *each(splits, *(f"{{m}}/{name}" for name in SHOTS)))).sound


def test_a_mistyped_folder_is_named_itself_and_not_the_split_around_it(tmp_path: Path) -> None:
    grow(tmp_path, *each(("RGB", "NI", "TI2"), *(f"test/{{m}}/{name}" for name in SHOTS)))
    (problem,) = (one for one in mv.scan(tmp_path).problems if one.kind == "outside the layout")
    assert problem.path == tmp_path / "test" / "TI2"
    assert problem.detail == "3 left out; not read as rgbnt201"


@pytest.mark.parametrize("there", [("NI", "TI"), ("RGB", "TI"), ("nir", "rgb")])
def test_a_modality_that_the_whole_set_lacks_is_one_problem(tmp_path: Path, there: tuple[str, ...]) -> None:
    grow(tmp_path, *each(there, *(f"test/{{m}}/000001_cam{camera}_0_00.jpg" for camera in (1, 2, 3))))
    report = mv.scan(tmp_path)
    (problem,) = report.problems
    lacking = ({"RGB", "NI", "TI"} - {"NI" if name == "nir" else name.upper() for name in there}).pop()
    assert (problem.kind, problem.path) == ("missing modality", tmp_path)
    assert problem.detail.startswith(f"no {lacking} image in the whole set; loaded with ")
    assert [len(sample.images) for sample in report.samples] == [2, 2, 2]
