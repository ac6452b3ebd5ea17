"""Checks both programs of every explanation. usage: explanations.py DNNC SOURCE_DIR

The explanations of what no small program shows are in TEXT_ONLY, and only these.
"""
import json
import pathlib
import re
import subprocess
import sys

TEXT_ONLY = set("""
file_too_large not_utf8 nul_byte too_many_tokens nested_too_deep expression_too_long unknown_program wrong_path_count
""".split())

dnnc, root = sys.argv[1], pathlib.Path(sys.argv[2])
known = {
    name
    for table in (root / "compiler/diag").glob("*.def")
    for name in re.findall(r"^DIAG\((\w+),", table.read_text(), re.M)
}
# What the programs read.
pathlib.Path("data.csv").write_text("a,b,label\n" + "1,2,0\n3,4,1\n5,6,2\n" * 2)
pathlib.Path("back.dnn").write_text('import "program.dnn"\n')
pathlib.Path("text.txt").write_text("the cat and the dog\n")
grey_pixel = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b550000000a494441"
    "54789c636800000082008177cd72b60000000049454e44ae426082"
)
for folder in ["images", "classes/a"]:
    pathlib.Path(folder).mkdir(parents=True)
    (pathlib.Path(folder) / "0.png").write_bytes(grey_pixel)
wrong = []
explained = set()


def check(program):
    """The names of the diagnostics, in order."""
    pathlib.Path("program.dnn").write_text(program)
    run = subprocess.run([dnnc, "check", "--diagnostics=json", "program.dnn"], capture_output=True, text=True)
    if run.returncode not in (0, 1):
        return [f"exit code {run.returncode}"]
    return re.findall(r'"name":\s*"(\w+)"', run.stderr)


for file in sorted((root / "compiler/diag/explanations").glob("*.md")):
    for section in re.split(r"^## ", file.read_text(), flags=re.M)[1:]:
        name, _, body = section.partition("\n")
        explained.add(name)
        programs = re.findall(r"^```dnn\n(.*?)^```$", body, re.M | re.S)
        count = 0 if name in TEXT_ONLY else 2
        if len(programs) != count or not body.strip() or body.startswith("```"):
            wrong.append(f"{name}: a text and {count} programs are wanted")
            continue
        for program, want in zip(programs, ([name], [])):
            got = check(program)
            if got != want:
                wrong.append(f"{name}: the {'wrong' if want else 'mended'} program gives {got}")
wrong += [f"{name}: an explanation of no diagnostic" for name in sorted(explained - known)]
wrong += [f"{name}: has no explanation" for name in sorted(known - explained)]
wrong += [f"{name}: text only, but no diagnostic" for name in sorted(TEXT_ONLY - known)]
print("\n".join(wrong) or "every explanation holds")
sys.exit(bool(wrong))
