"""Lays out copies of all programs of the tests. usage: formats.py DNNC SOURCE_DIR

Programs with syntax errors must be left alone; dnnc itself checks that the others stay the same programs. Laying out
what was laid out must change nothing.
"""
import pathlib
import shutil
import subprocess
import sys

dnnc, root = sys.argv[1], pathlib.Path(sys.argv[2])
copies = []
for number, file in enumerate(sorted(root.glob("test/**/*.dnn"))):
    copies.append(pathlib.Path(f"{number}_{file.name}"))
    shutil.copy(file, copies[-1])
before = {file: file.read_bytes() for file in copies}
first = subprocess.run([dnnc, "fmt", *copies], capture_output=True, text=True)
wrong = [] if first.returncode in (0, 1) else [f"exit code {first.returncode}: {first.stderr[-500:]}"]
changed = 0
for file in copies:
    after = file.read_bytes()
    changed += after != before[file]
    if [c for c in before[file] if c == ord("#")] != [c for c in after if c == ord("#")]:
        wrong.append(f"{file}: the comments are not the same")
middle = {file: file.read_bytes() for file in copies}
subprocess.run([dnnc, "fmt", *copies], capture_output=True)
wrong += [f"{file}: the second layout differs from the first" for file in copies if file.read_bytes() != middle[file]]
if changed < 10:
    wrong.append(f"only {changed} programs were laid out")
print("\n".join(wrong) or "every program keeps its meaning and its layout")
sys.exit(bool(wrong))
