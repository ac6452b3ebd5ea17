"""Runs snippets.py on every Markdown page of the project but the explanations of diagnostics, half of which are wrong on
purpose and have a test of their own. usage: all_pages.py BIN_DIR SOURCE_DIR"""
import pathlib
import subprocess
import sys

source_dir = pathlib.Path(sys.argv[2])
pages = subprocess.run(["git", "ls-files", "*.md"], cwd=source_dir, capture_output=True, text=True, check=True)
snippets = pathlib.Path(__file__).with_name("snippets.py")
bad = 0
for page in pages.stdout.split():
    if page.startswith("compiler/diag/explanations/"):
        continue
    bad += subprocess.run([sys.executable, snippets, sys.argv[1], source_dir, source_dir / page]).returncode != 0
print(f"{bad} pages are wrong" if bad else "every page is true")
sys.exit(bad != 0)
