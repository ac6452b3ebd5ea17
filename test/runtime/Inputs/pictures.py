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
# What is no file: it may never end.
for fault in ["pipe", "endless", "loop", "dangling"]:
    png(f"{fault}/ants/0.png", 8, 6, [1, 2, 3])
os.mkfifo("pipe/ants/1.png")
os.symlink("/dev/zero", "endless/ants/1.png")
os.symlink("1.png", "loop/ants/1.png")
os.symlink("nowhere", "dangling/ants/1.png")
# Palettes, fewer bits, interlaced rows, names with spaces and other letters: 8 × 6 pixels x, y of value 10 x + y.
def rows(bits, values):
    lines = []
    for line in values:
        number = int.from_bytes(bytes(line), "big") if bits == 8 else int("".join(format(v, f"0{bits}b") for v in line), 2)
        lines.append(b"\0" + number.to_bytes(len(line) * bits // 8, "big"))
    return b"".join(lines)
def other_png(path, bits, kind, interlaced, data, extra=b""):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 6, bits, kind, 0, 0, interlaced)) + extra +
                chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b""))
value = lambda x, y: 10 * x + y
plain = [[value(x, y) for x in range(8)] for y in range(6)]
palette = chunk(b"PLTE", b"".join(bytes([i, 255 - i, i]) for i in range(256)))
adam7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
passes = [[[value(x, y) for x in range(x0, 8, dx)] for y in range(y0, 6, dy)] for x0, y0, dx, dy in adam7]
other_png("kinds/the ants/a palette.png", 8, 3, 0, rows(8, plain), palette)
other_png("kinds/the ants/two bits.png", 2, 0, 0, rows(2, [[0, 1, 2, 3, 3, 2, 1, 0]] * 6))
other_png("kinds/Bienen für alle/verschränkt.PNG", 8, 0, 1, b"".join(rows(8, p) for p in passes))
