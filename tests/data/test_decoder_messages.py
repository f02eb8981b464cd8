"""What decoders written in C print is caught, told once with its file, and nothing else is lost."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mswin_viz.data.decoder_messages import caught_messages
from mswin_viz.data.images import opened, readable

from .picture_kinds import files, picture, saved

FAX = "Fax4Decode: Bad code word at line 3 of strip 0 (x 5)."


def run(code: str, *arguments: str, **options: object) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, *arguments], capture_output=True, text=True, timeout=120, **options
    )  # fmt: skip


def test_nothing_of_a_damaged_tiff_reaches_the_terminal_and_its_error_says_it(tmp_path: Path):
    for codec in ("tiff_lzw", "tiff_adobe_deflate", "jpeg"):
        content = bytearray(saved(picture(), "TIFF", compression=codec))
        middle = len(content) // 2 if codec == "jpeg" else 30
        content[middle : middle + 60] = bytes(60)
        (tmp_path / f"{codec}.tif").write_bytes(content)
    code = (
        "import sys\nfrom mswin_viz.data.images import readable\n"
        "good, problems = readable(sys.argv[1:])\nprint(len(good), *problems, sep='\\n')"
    )
    done = run(code, *map(str, sorted(tmp_path.iterdir())))
    assert done.returncode == 0
    assert done.stderr == ""
    assert "Decod" in done.stdout


def test_a_picture_that_its_decoder_complains_about_has_a_remark(tmp_path: Path):
    content = bytearray(files()["tiff, fax"])
    for seed in range(60):
        damaged = bytearray(content)
        damaged[8 + seed % 20] ^= 0x5A
        try:
            remarks = opened(bytes(damaged)).remarks
        except OSError:
            continue
        if remarks:
            assert "its decoder complains (Fax4Decode: " in remarks[0]
            return
    pytest.fail("no damage made the decoder complain")


def test_lines_of_the_decoder_are_kept_once_and_all_others_printed(capfd):
    with caught_messages() as messages:
        os.write(2, f"{FAX}\n{FAX}\nsomething else\ntempfile.tif: Cannot read.\n 50%|#####     |".encode())
    assert messages == [FAX, "tempfile.tif: Cannot read."]
    assert capfd.readouterr().err == "something else\n 50%|#####     |"


def test_a_flood_of_messages_is_cut_to_five(capfd):
    with caught_messages() as messages:
        os.write(2, b"".join(b"LZWDecode: Bad code %d.\n" % at for at in range(9000)))
    assert len(messages) == 5
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("raised", [OSError, KeyboardInterrupt, MemoryError])
def test_the_terminal_comes_back_whatever_happens(raised, capfd):
    def fails() -> None:
        with caught_messages():
            os.write(2, b"from within\n")
            raise raised

    with pytest.raises(raised):
        fails()
    os.write(2, b"behind\n")
    assert capfd.readouterr().err == "from within\nbehind\n"


def test_no_file_descriptor_stays_open():
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else None
    for _ in range(50):
        with caught_messages():
            pass
    if before is None:
        pytest.skip("needs /proc")
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_program_without_standard_error_reads_its_pictures(tmp_path: Path):
    (tmp_path / "a.tif").write_bytes(files()["tiff, tiff_lzw"])
    code = (
        "import os, sys\nos.close(2)\nfrom mswin_viz.data.images import open_image\n"
        "print(open_image(sys.argv[1]).size)"
    )
    done = run(code, str(tmp_path / "a.tif"))
    assert done.stdout == "(40, 24)\n"


def test_many_threads_read_and_print_at_once_and_nothing_is_lost(tmp_path: Path, capfd):
    for at in range(24):
        noise = np.random.default_rng(at).integers(0, 256, (60, 40, 3), dtype=np.uint8)
        Image.fromarray(noise).save(tmp_path / f"{at}.tif", compression="tiff_lzw")
    paths, stop, n_written = sorted(tmp_path.iterdir()) * 4, threading.Event(), []

    def printing() -> None:
        while not stop.wait(0.0005):
            n_written.append(os.write(2, b"a line\n"))

    printer = threading.Thread(target=printing)
    printer.start()
    with ThreadPoolExecutor(6) as pool:
        sizes = {found.image.size for found in pool.map(opened, paths)}
    stop.set()
    printer.join()
    assert sizes == {(40, 60)}
    assert capfd.readouterr().err == "a line\n" * len(n_written)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_process_forked_meanwhile_keeps_its_terminal():
    code = (
        "import os, threading, time\nfrom mswin_viz.data.decoder_messages import caught_messages\n"
        "def hold():\n    with caught_messages():\n        started.set()\n        time.sleep(0.3)\n"
        "started = threading.Event()\nthread = threading.Thread(target=hold)\nthread.start()\nstarted.wait()\n"
        "child = os.fork()\nif child == 0:\n    os.write(2, b'from the child')\n    os._exit(0)\n"
        "os.waitpid(child, 0)\nthread.join()\nos.write(2, b', from the parent')\n"
    )
    assert run(code).stderr == "from the child, from the parent"


def test_damaged_and_sound_files_in_one_list_are_told_apart(tmp_path: Path):
    (tmp_path / "good.tif").write_bytes(files()["tiff, tiff_lzw"])
    (tmp_path / "bad.tif").write_bytes(files()["tiff, tiff_lzw"][:-200])
    good, problems = readable(sorted(tmp_path.iterdir()))
    assert [path.name for path in good] == ["good.tif"]
    assert len(problems) == 1
    assert "bad.tif" in problems[0]
