"""What decoders written in C print is caught, told once with its file, and nothing else is lost."""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.picture_kinds import files, picture, saved

from mswin_viz.data.images.decoder_messages import caught_messages
from mswin_viz.data.images.image_source import open_image, opened
from mswin_viz.errors import ImageFileError

FAX = "Fax4Decode: Bad code word at line 3 of strip 0 (x 5)."


IS_GLIBC = platform.libc_ver()[0] == "glibc"
needs_glibc = pytest.mark.skipif(not IS_GLIBC, reason="C's stderr can be set with glibc alone")


@pytest.fixture(params=["by C's stream", "by the descriptor"])
def way(request, monkeypatch) -> str:
    """The two ways to catch what is printed; the second is for systems where the first is not to be had."""
    if request.param == "by the descriptor":
        monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    elif not IS_GLIBC:
        pytest.skip("C's stderr can be set with glibc alone")
    return request.param


def printed_in_c(content: bytes) -> None:
    """What a library in C prints, which Python's streams never see."""
    c = ctypes.CDLL(None)
    c.fputs(content, ctypes.c_void_p.in_dll(c, "stderr" if sys.platform != "darwin" else "__stderrp"))


def damaged_tiff() -> bytes:
    """Its decoder complains and gives up."""
    noise = np.random.default_rng(0).integers(0, 256, (90, 60, 3), dtype=np.uint8)
    content = bytearray(saved(Image.fromarray(noise), "TIFF", compression="tiff_lzw"))
    for at in range(2000, 10_000, 500):
        content[at] ^= 0xFF
    return bytes(content)


REASONS = """
import sys
from mswin_viz.data.images.image_source import open_image

def reason(path):
    try:
        open_image(path)
    except OSError as problem:
        return str(problem)

"""


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
    done = run(
        REASONS + "print(*map(reason, sys.argv[1:]), sep='\\n')", *map(str, sorted(tmp_path.iterdir()))
    )
    assert done.returncode == 0
    assert done.stderr == ""
    assert "Decod" in done.stdout


def test_what_pillow_writes_into_its_log_reaches_who_listens_and_not_the_terminal(tmp_path: Path, caplog):
    entries = {256: 24, 257: 40, 258: 8, 259: 1, 262: 1, 273: 8, 277: 68, 278: 40, 279: 960}
    packed = b"".join(struct.pack("<HHLL", tag, 4, 1, value) for tag, value in entries.items())
    (tmp_path / "many.tif").write_bytes(b"II*\0" + struct.pack("<LH", 8, len(entries)) + packed + bytes(1200))
    done = run(REASONS + "print(reason(sys.argv[1]))", str(tmp_path / "many.tif"))
    assert done.stderr == ""
    assert "many.tif" in done.stdout
    with pytest.raises(ImageFileError):
        open_image(tmp_path / "many.tif")
    assert "More samples per pixel" in caplog.text


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


@pytest.mark.parametrize(
    "name", ["tempfile.tif", "LZWDecode", "TIFFReadEncodedStrip", "_TIFFVSetField", "JPEGLib"]
)
def test_lines_of_the_decoder_are_kept_once_and_all_others_printed(name, way, capfd):
    others = b"something else\nWarning: x is odd.\nValueError: x must be y.\n 50%|#####     |"
    line = f"{name}: Bad code word at line 3 of strip 0 (x 5)."
    with caught_messages() as messages:
        printed_in_c(f"{line}\n{line}\n{FAX}\n".encode() + others)
    assert messages == [line, FAX]
    assert capfd.readouterr().err == others.decode()


def test_a_codec_that_is_missing_is_told_though_its_line_has_no_name(way, capfd):
    with caught_messages() as messages:
        printed_in_c(b": WEBP compression support is not configured.\n")
    assert messages == [": WEBP compression support is not configured."]
    assert capfd.readouterr().err == ""


def test_a_flood_of_messages_is_cut_to_five_and_what_comes_behind_is_printed(way, capfd):
    with caught_messages() as messages:
        printed_in_c(b"".join(b"LZWDecode: Bad code %d.\n" % at for at in range(60_000)))
        printed_in_c(b"the last line\n")
    assert len(messages) == 5
    assert capfd.readouterr().err == "the last line\n"


@pytest.mark.parametrize("raised", [OSError, KeyboardInterrupt, MemoryError])
def test_the_terminal_comes_back_whatever_happens(raised, way, capfd):
    def fails() -> None:
        with caught_messages():
            printed_in_c(b"from within\n")
            raise raised

    with pytest.raises(raised):
        fails()
    printed_in_c(b"behind\n")
    os.write(2, b"and by Python\n")
    assert capfd.readouterr().err == "from within\nbehind\nand by Python\n"


def test_no_file_descriptor_is_added_from_file_to_file(way):
    if not Path("/proc/self/fd").exists():
        pytest.skip("needs /proc")
    counts = []
    for _ in range(50):
        with caught_messages():
            printed_in_c(b"a line\n")
        counts.append(len(os.listdir("/proc/self/fd")))
    assert max(counts[1:]) <= counts[0]  # what other tests left open may be closed meanwhile


def test_a_program_without_standard_error_reads_its_pictures(tmp_path: Path):
    (tmp_path / "a.tif").write_bytes(files()["tiff, tiff_lzw"])
    code = (
        "import os, sys\nos.close(2)\nfrom mswin_viz.data.images.image_source import open_image\n"
        "print(open_image(sys.argv[1]).size)"
    )
    done = run(code, str(tmp_path / "a.tif"))
    assert done.stdout == "(40, 24)\n"


@needs_glibc
def test_many_threads_read_damaged_files_and_print_at_once_and_no_line_is_lost_or_taken_for_damage(capfd):
    stop, n_written = threading.Event(), [0, 0]
    lines = ("a line", "Warning: x is odd.", "ValueError: x must be y.", "LZWDecode: said by another thread.")

    def printing(thread: int) -> None:
        while not stop.wait(0.0002):
            os.write(2, f"{lines[n_written[thread] % 4]} <{thread}, {n_written[thread]}>.\n".encode())
            n_written[thread] += 1

    def complaint(content: bytes) -> str:
        with pytest.raises(ImageFileError) as caught:
            opened(content)
        return str(caught.value)

    printers = [threading.Thread(target=printing, args=(thread,)) for thread in range(2)]
    for printer in printers:
        printer.start()
    try:
        with ThreadPoolExecutor(8) as pool:
            complaints = set(pool.map(complaint, [damaged_tiff()] * 200))
    finally:
        stop.set()
        for printer in printers:
            printer.join()
    assert len(complaints) == 1
    assert "Using code not yet in table" in complaints.pop()
    printed = capfd.readouterr().err.splitlines()
    for thread in range(2):
        own = [line for line in printed if f"<{thread}, " in line]
        assert own == [f"{lines[at % 4]} <{thread}, {at}>." for at in range(n_written[thread])]
    assert len(printed) == sum(n_written)


@needs_glibc
def test_a_program_started_meanwhile_keeps_the_terminal(capfd):
    with caught_messages() as messages:
        subprocess.run([sys.executable, "-c", "import os; os.write(2, b'from another program')"], check=True)
    assert messages == []
    assert capfd.readouterr().err == "from another program"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_process_forked_meanwhile_keeps_its_terminal(way):
    code = (
        "import os, platform, sys, threading, time\n"
        "if sys.argv[1] == 'by the descriptor':\n    platform.libc_ver = lambda: ('', '')\n"
        "from mswin_viz.data.images.decoder_messages import caught_messages\n"
        "def hold():\n    with caught_messages():\n        started.set()\n        time.sleep(0.3)\n"
        "started = threading.Event()\nthread = threading.Thread(target=hold)\nthread.start()\nstarted.wait()\n"
        "child = os.fork()\nif child == 0:\n    os.write(2, b'from the child')\n    os._exit(0)\n"
        "os.waitpid(child, 0)\nthread.join()\nos.write(2, b', from the parent')\n"
    )
    assert run(code, way).stderr == "from the child, from the parent"


@needs_glibc
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_forked_processes_that_read_at_the_same_time_each_have_their_own_messages(tmp_path: Path):
    (tmp_path / "bad.tif").write_bytes(damaged_tiff())
    code = (
        f"{REASONS}import os\nreason(sys.argv[1])\nchildren = []\n"
        "for _ in range(4):\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        told = [reason(sys.argv[1]) for _ in range(50)]\n"
        "        os._exit(len(set(told)) + ('not yet in table' not in told[0]))\n"
        "    children.append(child)\n"
        "print([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children])"
    )
    done = run(code, str(tmp_path / "bad.tif"))
    assert (done.stdout, done.stderr) == ("[1, 1, 1, 1]\n", "")
