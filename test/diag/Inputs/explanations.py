"""Checks both programs of every explanation. usage: explanations.py DNNC SOURCE_DIR

The diagnostics without an explanation are in MISSING, and only these: take a name away when its explanation comes.
"""
import json
import pathlib
import re
import subprocess
import sys

MISSING = set("""
file_too_large not_utf8 nul_byte too_many_tokens nested_too_deep expression_too_long unknown_program
too_many_calls expression_too_large wrong_path_count import_cycle
""".split())

dnnc, root = sys.argv[1], pathlib.Path(sys.argv[2])
known = {
    name
    for table in (root / "compiler/diag").glob("*.def")
    for name in re.findall(r"^DIAG\((\w+),", table.read_text(), re.M)
}
# What the programs read.
pathlib.Path("data.csv").write_text("a,b,label\n" + "1,2,0\n3,4,1\n5,6,2\n" * 2)
pathlib.Path("text.txt").write_text("the cat and the dog\n")
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
        if len(programs) != 2 or body.startswith("```"):
            wrong.append(f"{name}: a text and two programs are wanted")
            continue
        for program, want in zip(programs, ([name], [])):
            got = check(program)
            if got != want:
                wrong.append(f"{name}: the {'wrong' if want else 'mended'} program gives {got}")
wrong += [f"{name}: an explanation of no diagnostic" for name in sorted(explained - known)]
wrong += [f"{name}: has no explanation" for name in sorted(known - explained - MISSING)]
wrong += [f"{name}: explained, and listed as missing" for name in sorted(MISSING & explained)]
wrong += [f"{name}: listed as missing, but no diagnostic" for name in sorted(MISSING - known)]
print("\n".join(wrong) or "every explanation holds")
sys.exit(bool(wrong))
