"""A few pictures of each published data set, named as its authors do, and who is on them."""

from __future__ import annotations

from pathlib import Path

from support.trees import each, grow

THREE = ("vis", "ni", "th")
MARKET = [
    "bounding_box_train/0002_c1s1_000451_03.jpg",
    "query/0003_c2s1_000776_00.jpg",
    "bounding_box_test/0003_c6s3_077467_04.jpg",
]
SETS = {
    "market1501": (MARKET, [(3, 6, "gallery"), (2, 1, "train"), (3, 2, "query")]),
    "dukemtmc": (
        [
            "bounding_box_train/0001_c2_f0046182.jpg",
            "query/0005_c3_f0046985.jpg",
            "bounding_box_test/0005_c8_f0051341.jpg",
        ],
        [(5, 8, "gallery"), (1, 2, "train"), (5, 3, "query")],
    ),
    "veri776": (
        [
            "image_train/0001_c001_00016450_0.jpg",
            "image_query/0002_c020_00030600_0.jpg",
            "image_test/0002_c003_00084280_1.jpg",
        ],
        [(2, 20, "query"), (2, 3, "gallery"), (1, 1, "train")],
    ),
    "msmt17": (
        [
            "bounding_box_train/0000_000_01_0303morning_0015_0.jpg",
            "query/0001_000_15_0303noon_0015_0.jpg",
            "bounding_box_test/0001_003_02_0303afternoon_0015_1.jpg",
        ],
        [(1, 2, "gallery"), (0, 1, "train"), (1, 15, "query")],
    ),
    "market_style": (
        ["train/7_c1_a.jpg", "query/8_c2_a.jpg", "test/8_cam11_a.jpg"],
        [(8, 2, "query"), (8, 11, "gallery"), (7, 1, "train")],
    ),
    "wmveid863": (
        each(
            THREE,
            "train/0001/{m}/v1_n0_s012_0001.jpg",
            "query/0002/{m}/v2_n1_s003_0007.jpg",
            "test/0002/{m}/v7_n1_s004_0001.jpg",
        ),
        [(2, 2, "query"), (2, 7, "gallery"), (1, 1, "train")],
    ),
    "msvr310": (
        each(
            THREE,
            "bounding_box_train/0002/{m}/0002_s011_v3_000.jpg",
            "query3/0040/{m}/0040_s004_v1_007.jpg",
            "bounding_box_test/0040/{m}/0040_s012_v6_001.jpg",
        ),
        [(40, 6, "gallery"), (2, 3, "train"), (40, 1, "query")],
    ),
    "market1501_rgbnt": (
        each(
            ("RGB", "NI", "TI"),
            "train/{m}/0002_c1s1_000451_03.jpg",
            "query/{m}/0003_c2s1_000776_00.jpg",
            "gallery/{m}/0003_c6s3_077467_04.jpg",
        ),
        [(3, 6, "gallery"), (3, 2, "query"), (2, 1, "train")],
    ),
    "rgbnt201": (
        each(("RGB", "NI", "TI"), "train_171/{m}/000004_cam2_0_00.jpg", "test/{m}/000258_cam3_0_01.jpg"),
        [(258, 3, "test"), (4, 2, "train")],
    ),
}
"""Layout -> names of files, and identity, camera and split of each sample."""


def msmt17(root: Path) -> Path:
    names = [
        "train/0000/0000_000_01_0303morning_0015_0.jpg",
        "train/0001/0001_001_05_0303noon_0015_0.jpg",
        "test/0000/0000_000_02_0303morning_0015_0.jpg",
        "test/0000/0000_001_14_0303noon_0015_1.jpg",
        "test/0000/0000_002_14_0303noon_0016_1.jpg",
    ]
    lists = {"train": names[:1], "val": names[1:2], "query": names[2:3], "gallery": names[3:4]}
    grow(root, *names)
    for name, lines in lists.items():
        text = "".join(f"{line.partition('/')[2]} {int(line.split('/')[1])}\n" for line in lines)
        (root / f"list_{name}.txt").write_text(text, encoding="utf-8")
    return root


def sysu(root: Path) -> Path:
    names = [
        f"cam{camera}/{pid:04d}/{shot:04d}.jpg"
        for camera in range(1, 7)
        for pid in (1, 2, 3, 9)
        for shot in (1, 2)
    ]
    grow(root, *names)
    (root / "exp").mkdir()
    for name, line in {"train_id": "1", "val_id": "2", "test_id": "3"}.items():
        (root / "exp" / f"{name}.txt").write_text(line, encoding="utf-8")
    return root


def regdb(root: Path) -> Path:
    grow(root, *(f"{kind}/{pid}/a_{kind[0]}_{pid}.bmp" for kind in ("Visible", "Thermal") for pid in (1, 2)))
    (root / "idx").mkdir()
    for trial, (train, test) in {1: (1, 2), 2: (2, 1)}.items():
        for kind in ("Visible", "Thermal"):
            for part, pid in {"train": train, "test": test}.items():
                line = f"{kind}/{pid}/a_{kind[0]}_{pid}.bmp 0\n"
                (root / "idx" / f"{part}_{kind.lower()}_{trial}.txt").write_text(line, encoding="utf-8")
    return root
