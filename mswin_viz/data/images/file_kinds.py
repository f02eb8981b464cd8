"""What a file that is not a picture holds, told by how it begins."""

from __future__ import annotations

_MARKS = (
    (b"%!PS", "a PostScript document"),
    (b"\xc5\xd0\xd3\xc6", "a PostScript document"),
    (b"%PDF", "a PDF document"),
    (b"\xd7\xcd\xc6\x9a", "a Windows metafile (WMF)"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself: run git lfs pull"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!", "a RAR archive"),
    (b"\x89HDF", "an HDF5 file"),
    (b"SIMPLE  =", "a FITS file"),
    (b"GRIB", "a GRIB file"),
    (b"BUFR", "a BUFR file"),
    (b"\x93NUMPY", "a NumPy array: pass numpy.load(path)"),
    (b"v/1\x01", "an OpenEXR picture, which cannot be read here: convert it to PNG or TIFF"),
    (b"\xff\x0a", "a JPEG XL picture, which cannot be read here: convert it to PNG or JPEG"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL picture, which cannot be read here: convert it to PNG or JPEG"),
    (b"\x1aE\xdf\xa3", "a film (Matroska)"),
    (b"\0\0\x01\xba", "a film (MPEG)"),
    (b"\0\0\x01\xb3", "a film (MPEG)"),
    (b"\0\0\1\0", "an icon (ICO), of several sizes: save the one you mean as PNG"),
    (b"icns", "an icon (ICNS), of several sizes: save the one you mean as PNG"),
    (b"{\\rtf", "an RTF document"),
)
_HEIF_BRANDS = (b"heic", b"heix", b"heif", b"mif1", b"msf1", b"hevc")
_MARKUP = ((b"<!doctype html", "an HTML page"), (b"<html", "an HTML page"), (b"<?xml", "an XML document"))
_CONTROLS = frozenset(range(32)) - frozenset(b"\t\n\r\f\x1b")


def kind_in_words(start: bytes) -> str:
    """What a file that cannot be read as a picture is, told by its first few hundred bytes."""
    for mark, words in _MARKS:
        if start.startswith(mark):
            return f"it is {words}"
    if start[4:8] == b"ftyp":
        if start[8:12] in _HEIF_BRANDS:
            return "it is a HEIC picture, which cannot be read here: convert it to PNG or JPEG"
        return "it is a film (MP4)"
    if start[40:44] == b" EMF":
        return "it is a Windows metafile (EMF)"
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith(b"<") and b"<svg" in text:
        return "it is an SVG drawing"
    for mark, words in _MARKUP:
        if text.startswith(mark):
            return f"it is {words}"
    if start and not _CONTROLS & set(start):
        return "it is text, not a supported image format"
    return "it is not in a supported image format"
