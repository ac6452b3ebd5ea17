"""Writes folders of PNG files into the current folder, and copies of the JPEG files beside this script."""
import os, shutil, struct, sys, zlib

def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

def png(path, width, height, pixel, depth=8):
    kind = {1: 0, 3: 2, 4: 6}[len(pixel)]
    row = b"\0" + (bytes(pixel) if depth == 8 else b"".join(struct.pack(">H", v) for v in pixel)) * width
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)) +
                chunk(b"IDAT", zlib.compress(row * height)) + chunk(b"IEND", b""))

jpegs = os.path.join(os.path.dirname(os.path.abspath(__file__)), "images")
def jpeg(name, path):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    shutil.copy(os.path.join(jpegs, name), path)

# Two classes; eight pixels wide and six high, but for one.
png("good/ants/1.png", 8, 6, [10, 20, 30])
png("good/ants/2.png", 8, 6, [40])
png("good/bees/1.png", 8, 6, [7, 8, 9, 255])
jpeg("red.jpg", "good/bees/2.jpg")
jpeg("grey.jpg", "good/bees/3.jpg")
open("good/bees/.hidden", "w").close()
png("sizes/ants/1.png", 8, 6, [10, 20, 30])
png("sizes/ants/2.png", 16, 30, [50, 60, 70])
png("flat/1.png", 8, 6, [100])
# One fault each, behind a good image.
for fault in ["size", "deep", "clear", "cmyk", "empty", "text", "cut_png", "cut_jpg", "folder", "none", "other"]:
    png(f"{fault}/ants/0.png", 8, 6, [1, 2, 3])
png("size/ants/1.png", 8, 7, [1, 2, 3])
png("deep/ants/1.png", 8, 6, [1, 2, 3], depth=16)
png("clear/ants/1.png", 8, 6, [1, 2, 3, 128])
jpeg("cmyk.jpg", "cmyk/ants/1.jpg")
open("empty/ants/1.png", "w").close()
open("text/ants/1.png", "w").write("no image")
for source, target in [("good/ants/1.png", "cut_png/ants/1.png"), ("good/bees/2.jpg", "cut_jpg/ants/1.jpg")]:
    data = open(source, "rb").read()
    open(target, "wb").write(data[: len(data) - (20 if source.endswith("png") else 60)])
os.makedirs("folder/ants/more")
os.makedirs("none/bees")
png("other/wasps/1.png", 8, 6, [1, 2, 3])
