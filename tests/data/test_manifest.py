"""A CSV table of samples, as people write and save it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image

import mswin_viz as mv
from mswin_viz.data.sets import tables
from mswin_viz.errors import DataError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.png", "a_thermal.png", "b.png"):
        Image.new("RGB", (4, 8)).save(tmp_path / name)
    return tmp_path


def table(folder: Path, *rows: str) -> Path:
    path = folder / "manifest.csv"
    path.write_text("\n".join(["RGB,TI,pid,camid,scene,split,caption,weather", *rows]), encoding="utf-8")
    return path


def test_a_row_is_a_sample_with_all_that_is_known_of_it(folder: Path) -> None:
    table(folder, "a.png,a_thermal.png,000012,3,7,query,a person,rain", "b.png,,,,,,,")
    first, second = mv.samples(folder)
    assert (first.pid, first.camid, first.scene, first.split, first.caption) == (
        12,
        3,
        7,
        "query",
        "a person",
    )
    assert first.images == {"RGB": folder / "a.png", "TI": folder / "a_thermal.png"}
    assert (second.pid, second.camid, second.scene, second.split, second.caption) == (
        -1,
        -1,
        None,
        None,
        None,
    )


def test_the_table_itself_may_be_pointed_to(folder: Path) -> None:
    assert mv.scan(table(folder, "a.png,,1,1,,,,")).layout == "manifest"


def test_rows_that_cannot_be_used_are_reported_by_line_and_the_rest_loads(folder: Path) -> None:
    table(
        folder,
        "a.png,gone.png,1,1,,train,,",
        "b.png,,one,1,,,,",
        "b.png,,1,1,,holdout,,",
        "gone.png,,2,1,,,,",
        ",,3,1,,,,",
        "a.png,,1,1,,,,",
    )
    report = mv.scan(folder)
    assert [set(s.images) for s in report.samples] == [{"RGB"}]
    assert report.counts == {"row does not parse": 4, "missing modality": 1, "duplicate": 1}
    said = " ".join(problem.detail for problem in report.problems)
    assert all(f"line {number}" in said for number in (2, 3, 4, 5, 6, 7))


@pytest.mark.parametrize("content", [b"image,pid\na.png,1\n", b"", b"RGB\n\xff\xfe.png\n"])
def test_a_table_without_modalities_or_in_no_known_encoding_is_refused(folder: Path, content: bytes) -> None:
    (folder / "manifest.csv").write_bytes(content)
    with pytest.raises(DataError, match=r"manifest\.csv"):
        mv.samples(folder)


def saved(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "manifest.csv"
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize(
    "heading",
    [
        "RGB,pid,camid",
        " RGB , pid ,camid ",
        "rgb,PID,CamID",
        "vis,person_id,camera",
        "visible,identity,cam",
        "RGB_path,Person ID,cam_id",
        "colour,vehicle_id,CAMERA_ID",
        "rgb file,id,camera number",
    ],
)
@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_headings_are_understood_however_they_are_spelled(folder: Path, heading: str, mark: str) -> None:
    saved(folder, f"{heading}\na.png,12,3\n".replace(",", mark))
    (sample,) = mv.samples(folder)
    assert (sample.pid, sample.camid, list(sample.images)) == (12, 3, ["RGB"])


@pytest.mark.parametrize(
    ("heading", "modality"),
    [
        ("ni", "NI"),
        ("NIR", "NI"),
        ("near_infrared", "NI"),
        ("thermal", "TI"),
        ("TIR path", "TI"),
        ("th", "TI"),
    ],
)
def test_columns_of_infrared_are_understood_too(folder: Path, heading: str, modality: str) -> None:
    saved(folder, f"{heading}\na.png\n")
    assert list(mv.samples(folder)[0].images) == [modality]


def test_infrared_alone_is_no_modality_of_a_column(folder: Path) -> None:
    saved(folder, "IR,pid\na.png,1\n")
    with pytest.raises(DataError, match=r"at least one of RGB, NI, TI.*has 'pid', 'IR'; rename or add one"):
        mv.samples(folder)


@pytest.mark.parametrize(
    ("text", "pid"),
    [("1", 1), ("1.0", 1), ("12.000", 12), (" 7 ", 7), ("000012", 12), ("-1", -1), ("-1.0", -1), ("", -1), ("nan", -1),
     ("NaN", -1), ("None", -1), ("<NA>", -1)],
)  # fmt: skip
def test_numbers_are_read_as_tables_hold_them(folder: Path, text: str, pid: int) -> None:
    saved(folder, f"RGB,pid,camid\na.png,{text},{text}\n")
    (sample,) = mv.samples(folder)
    assert (sample.pid, sample.camid) == (pid, pid)


@pytest.mark.parametrize(
    "text",
    ["1.5", "one", "1e3", "P01", "inf", "0x10", "1 2", "1_000", "+7", "\uff17", "\u0663", "\u00b9", "True", "--1", "1-2", "0b1", "1'000",
     "-", ".", "1.0.0"],
)  # fmt: skip
def test_what_is_no_whole_number_leaves_out_its_row(folder: Path, text: str) -> None:
    saved(folder, f"RGB,pid\na.png,{text}\nb.png,2\n")
    report = mv.scan(folder)
    assert [sample.pid for sample in report.samples] == [2]
    assert report.problems[0].detail == f"line 2: pid must be a whole number, got {text!r}; left out"


@pytest.mark.parametrize("column", ["pid", "camid", "scene"])
@pytest.mark.parametrize("text", ["-7", "-0", "-2", "-1000000000000000000000"])
def test_a_negative_number_leaves_out_its_row_and_the_column_is_named(folder, column: str, text: str) -> None:
    saved(folder, f"RGB,{column}\na.png,{text}\nb.png,2\n")
    report = mv.scan(folder)
    assert [sample.images["RGB"].name for sample in report.samples] == ["b.png"]
    assert (
        report.problems[0].detail
        == f"line 2: {column} must be at least 0, or -1 for unknown, got {text!r}; left out"
    )


def test_a_scene_of_minus_one_is_unknown(folder: Path) -> None:
    saved(folder, "RGB,scene\na.png,-1\n")
    assert mv.samples(folder)[0].scene is None


@pytest.mark.parametrize("text", ['"1,000"', '"12,000"'])
def test_a_comma_before_three_zeros_may_be_a_thousand_and_is_refused(folder: Path, text: str) -> None:
    saved(folder, f"RGB,pid\na.png,{text}\nb.png,2\n")
    assert [sample.pid for sample in mv.scan(folder).samples] == [2]


def test_a_column_under_another_heading_is_named_with_it(folder: Path) -> None:
    saved(folder, "RGB,Person ID,subset\na.png,x,\nb.png,1,later\n")
    with pytest.raises(
        DataError, match=r"line 2: pid \(column 'Person ID'\) must be a whole number, got 'x'"
    ):
        mv.samples(folder)


@pytest.mark.parametrize("digits", [19, 30, 5000])
def test_a_number_of_many_digits_is_refused_in_our_words(folder: Path, digits: int) -> None:
    saved(folder, f"RGB,pid\na.png,{'7' * digits}\nb.png,{'0' * digits}5\n")
    report = mv.scan(folder)
    assert [sample.pid for sample in report.samples] == [5]
    assert "line 2: pid may have at most 18 digits, got '777" in report.problems[0].detail
    assert len(report.problems[0].detail) < 150


@pytest.mark.parametrize(
    "text",
    ['RGB,pid,caption\na.png,1,"a man\nb.png,2,"\n"c.png,3\n', 'RGB,pid,caption\na.png,1,\nb.png,2,"never closed\n',
     'RGB,"pid\na.png,1\n', 'RGB,caption\na.png,"' + "x" * 200_000 + "\n"],
)  # fmt: skip
def test_a_quote_that_is_never_closed_is_refused_with_its_line(folder: Path, text: str) -> None:
    saved(folder, text)
    with pytest.raises(
        DataError, match=r"manifest\.csv cannot be read, because a quote in line \d is never closed"
    ):
        mv.samples(folder)


def test_a_quote_closed_within_a_value_leaves_out_its_lines_and_says_so(folder: Path) -> None:
    saved(folder, 'RGB,pid,caption\na.png,1,"open\nb.png,2,"a man"\na_thermal.png,3,plain\n')
    report = mv.scan(folder)
    assert [sample.pid for sample in report.samples] == [3]
    assert (
        report.problems[0].detail
        == "line 3: a quote that is opened in line 2 is closed within a value; left out"
    )


def test_a_row_that_is_too_short_is_reported(folder: Path) -> None:
    saved(folder, "RGB,pid,camid\na.png,1\nb.png,2,3\n")
    with pytest.warns(UserWarning, match="line 2: 1 fewer values than headings"):
        assert [(s.pid, s.camid) for s in mv.samples(folder)] == [(1, -1), (2, 3)]


@pytest.mark.parametrize("end", ["\r", "\r\n", "\n"])
def test_lines_may_end_as_on_any_system(folder: Path, end: str) -> None:
    (folder / "manifest.csv").write_bytes(f"RGB,pid{end}a.png,4{end}b.png,x{end}".encode())
    report = mv.scan(folder)
    assert [sample.pid for sample in report.samples] == [4]
    assert report.problems[0].detail.startswith("line 3: ")


def test_an_apostrophe_before_a_formula_is_not_part_of_a_path(folder: Path) -> None:
    Image.new("RGB", (4, 8)).save(folder / "=1.png")
    saved(folder, "RGB\n'=1.png\n")
    assert mv.samples(folder)[0].images["RGB"].name == "=1.png"


@pytest.mark.parametrize("kind", ["pipe", "binary", "nul", "huge"])
def test_a_table_that_is_no_text_file_is_refused(folder: Path, monkeypatch, kind: str) -> None:
    path = folder / "mine.csv"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.write_bytes({"binary": os.urandom(4000), "nul": b"RGB\na\0.png\n", "huge": b"RGB\n"}[kind])
    if kind == "huge":
        monkeypatch.setattr(tables, "MOST_BYTES", 3)
    with pytest.raises(DataError, match=r"mine\.csv"):
        mv.samples(path)


@pytest.mark.parametrize(
    "text", ["~nobody-at-all/a.png", "x" * 5000 + ".png", "a" * 300 + "/b.png", "bad\\name"]
)
def test_a_path_that_no_system_takes_leaves_out_its_row(folder: Path, text: str) -> None:
    saved(folder, f"RGB,pid\n{text},1\nb.png,2\n")
    assert [sample.pid for sample in mv.scan(folder).samples] == [2]


def test_when_no_row_is_left_the_first_reason_is_quoted(folder: Path) -> None:
    saved(folder, "RGB,pid\na.png,one\ngone.png,2\n")
    with pytest.raises(
        DataError,
        match=r"2 cannot be used: row does not parse.*line 2: pid must be a whole number, got 'one'",
    ):
        mv.samples(folder)


def test_columns_that_were_not_used_are_listed(folder: Path) -> None:
    table(folder, "a.png,,1,1,,,,rain")
    assert "columns of manifest.csv that were not used: 'weather'" in " ".join(str(mv.scan(folder)).split())
    assert mv.scan(folder).sound


@pytest.mark.parametrize("heading", ["personality", "label", "who_id", "name"])
def test_a_column_that_may_be_the_identity_and_is_not_used_is_a_problem(folder: Path, heading: str) -> None:
    saved(folder, f"RGB,{heading}\na.png,1\n")
    with pytest.warns(UserWarning, match=f"no column pid.*not used: '{heading}'; rename one to pid"):
        assert mv.samples(folder)[0].pid == -1


@pytest.mark.parametrize(
    "heading", ["RGB, pid,PID", "RGB,rgb,pid", "person_id,vehicle_id,RGB", "vis,visible,pid"]
)
def test_two_columns_for_one_thing_are_refused(folder: Path, heading: str) -> None:
    saved(folder, f"{heading}\na.png,1,1\n")
    with pytest.raises(DataError, match=r"both mean (pid|RGB); rename or remove one"):
        mv.samples(folder)


def test_a_columns_own_name_goes_before_another_word_for_it(folder: Path) -> None:
    saved(folder, "id,pid,RGB\n1,12,a.png\n")
    report = mv.scan(folder)
    assert (report.samples[0].pid, report.notes) == (
        12,
        ("columns of manifest.csv that were not used: 'id'",),
    )


@pytest.mark.parametrize(
    ("encoding", "caption"),
    [
        (name, text)
        for name in ("utf-8", "utf-8-sig", "utf-16", "utf-32")
        for text in ("a café", "一个穿红色上衣的人")
    ]
    + [("cp1252", "a café in Zürich"), ("gb18030", "一个穿红色上衣的人"), ("gbk", "男人穿白色上衣")],
)
def test_captions_are_read_in_the_encodings_that_programs_write(
    folder: Path, encoding: str, caption: str
) -> None:
    saved(folder, f"RGB,pid,caption\na.png,1,{caption}\nb.png,2,plain\n", encoding)
    assert mv.samples(folder)[0].caption == caption


def test_an_encoding_that_is_not_certain_is_refused_with_the_way_out(folder: Path) -> None:
    saved(folder, "RGB,pid,caption\na.png,1,Müüü\n", "cp1252")
    with pytest.raises(
        DataError,
        match=r"encoding of .*manifest\.csv cannot be determined; save it as CSV in UTF-8",
    ):
        mv.samples(folder)


def test_a_table_of_two_encodings_is_refused(folder: Path) -> None:
    (folder / "manifest.csv").write_bytes(
        "RGB,caption\na.png,café\n".encode() + "b.png,café\n".encode("cp1252")
    )
    with pytest.raises(DataError, match=r"encoding of .* cannot be determined"):
        mv.samples(folder)


def test_of_thousands_of_headings_the_first_are_named_and_the_rest_counted(folder: Path) -> None:
    headings = ",".join(f"c{at}" for at in range(3000))
    saved(folder, f"RGB,pid,{headings}\na.png,1{',' * 3000}\n")
    (note,) = mv.scan(folder).notes
    assert note.endswith("'c18', 'c19' and 2,980 more")
    saved(folder, f"{headings}\n{',' * 2999}\n")
    with pytest.raises(DataError, match=r"'c19' and 2,980 more; rename or add one"):
        mv.samples(folder)


def test_a_table_of_another_encoding_says_how_it_was_read(folder: Path) -> None:
    saved(folder, "RGB,caption\na.png,ein Mann mit Hütchen\n", "cp1252")
    assert mv.scan(folder).notes == ("manifest.csv was read as cp1252",)


def test_line_numbers_count_the_lines_of_the_file(folder: Path) -> None:
    saved(folder, 'sep=,\n\nRGB,pid,caption\na.png,1,"two\nlines"\n\nb.png,x,\n')
    report = mv.scan(folder)
    assert report.samples[0].caption == "two\nlines"
    assert report.problems[0].detail.startswith("line 7: ")


def test_a_text_that_is_cut_at_its_commas_is_reported(folder: Path) -> None:
    saved(folder, "RGB,pid,caption\na.png,1,a man, walking\n")
    with pytest.warns(UserWarning, match="line 2: 1 more values than headings.*double quotes"):
        assert mv.samples(folder)[0].caption == "a man"


@pytest.mark.parametrize(
    ("text", "split"), [("Train", "train"), (" QUERY ", "query"), ("probe", "query"), ("", None)]
)
def test_splits_are_understood_in_any_case(folder: Path, text: str, split: str | None) -> None:
    saved(folder, f"RGB,subset\na.png,{text}\n")
    assert mv.samples(folder)[0].split == split


def test_paths_of_windows_lead_to_their_files(folder: Path) -> None:
    (folder / "deep").mkdir()
    Image.new("RGB", (4, 8)).save(folder / "deep" / "c.png")
    saved(folder, "RGB\ndeep\\c.png\n")
    assert mv.samples(folder)[0].images["RGB"] == folder / "deep" / "c.png"


def test_pictures_that_the_table_does_not_name_are_counted(folder: Path) -> None:
    saved(folder, "RGB\n./a.png\n")
    assert mv.scan(folder).left_out == {"picture that the table does not name": 2}


@pytest.mark.parametrize("name", ["mine.csv", "mine.tsv", "mine.CSV"])
def test_a_table_of_any_name_may_be_pointed_to(folder: Path, name: str) -> None:
    (folder / name).write_text(
        "RGB,pid\na.png,4\n".replace(",", "\t" if "tsv" in name else ","), encoding="utf-8"
    )
    assert mv.samples(folder / name)[0].pid == 4


@pytest.mark.parametrize("layout", ["manifest", "auto"])
def test_a_folder_without_a_table_has_no_manifest(folder: Path, layout: str) -> None:
    if layout == "auto":
        assert mv.scan(folder).layout == "folder"
    else:
        with pytest.raises(DataError, match=r"needs a table manifest\.csv: found none"):
            mv.samples(folder, layout)


@pytest.mark.parametrize("name", ["Manifest.csv", "MANIFEST.CSV", "manifest.tsv", "wrapper/manifest.csv"])
@pytest.mark.parametrize("layout", ["auto", "manifest"])
def test_the_table_is_found_in_any_case_and_in_a_wrapper(folder: Path, name: str, layout: str) -> None:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    Image.new("RGB", (4, 8)).save(path.parent / "a.png")
    path.write_text("RGB\tpid\na.png\t7\n", encoding="utf-8")
    report = mv.scan(folder, layout)
    assert (report.layout, [sample.pid for sample in report.samples]) == ("manifest", [7])


def test_a_column_that_may_be_near_or_thermal_infrared_is_a_problem(folder: Path) -> None:
    (folder / "manifest.csv").write_text("RGB,IR,pid\na.png,a_thermal.png,1\n", encoding="utf-8")
    (problem,) = mv.scan(folder).problems
    assert problem.kind == "modality not used"
    assert (
        problem.detail == "column 'IR' may be near or thermal infrared and is not used; rename it to NI or TI"
    )


def test_one_file_under_two_spellings_is_one_sample(folder: Path) -> None:
    (folder / "manifest.csv").write_text("RGB,pid\na.png,1\n./x/../a.png,1\n./a.png,1\n", encoding="utf-8")
    (folder / "x").mkdir()
    report = mv.scan(folder)
    assert len(report.samples) == 1
    assert [problem.detail for problem in report.problems] == [
        "line 3 repeats line 2; left out",
        "line 4 repeats line 2; left out",
    ]


@pytest.mark.parametrize(
    ("text", "pid"), [("12,0", 12), ("12.", 12), ("12,00", 12), ("-1.0", -1), ("-1,0", -1)]
)
def test_numbers_are_read_as_spreadsheets_write_them(folder: Path, text: str, pid: int) -> None:
    (folder / "manifest.csv").write_text(f"RGB;pid\na.png;{text}\n", encoding="utf-8")
    report = mv.scan(folder)
    assert [sample.pid for sample in report.samples] == [pid]
    assert report.splits[0].unknown == (pid < 0)


def test_a_number_that_no_array_can_hold_is_refused(folder: Path) -> None:
    (folder / "manifest.csv").write_text(f"RGB,pid\na.png,1\nb.png,{'9' * 20}\n", encoding="utf-8")
    (problem,) = mv.scan(folder).problems
    assert problem.detail == f"line 3: pid may have at most 18 digits, got '{'9' * 20}'; left out"
