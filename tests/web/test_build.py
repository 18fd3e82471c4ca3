"""The page that the package ships is what its sources make, and asks nobody else for anything."""

import filecmp
import re
import shutil
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
WEB = REPOSITORY / "web"
FORBIDDEN = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\("
STATIC = REPOSITORY / "src" / "siderea" / "explorer" / "static"


def files(folder):
    return sorted(str(one.relative_to(folder)) for one in folder.rglob("*") if one.is_file())


@pytest.mark.web
def test_a_fresh_build_gives_the_same_bytes(npm, tmp_path):
    web = tmp_path / "web"
    shutil.copytree(WEB, web, ignore=shutil.ignore_patterns("node_modules"))
    install = [npm, "ci", "--omit=dev", "--ignore-scripts", "--prefer-offline", "--no-audit"]
    done = subprocess.run(install, cwd=web, capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        pytest.skip(f"npm ci found no packages: {done.stderr.strip().splitlines()[-1:]}")
    out = tmp_path / "static"
    subprocess.run(["node", "build.mjs", str(out)], cwd=web, check=True, timeout=120)
    assert files(out) == files(STATIC)
    _, different, missing = filecmp.cmpfiles(out, STATIC, files(out), shallow=False)
    assert (different, missing) == ([], []), "run `npm ci && npm run build` in web/"


def test_lock_file_names_no_host():
    assert "resolved" not in (WEB / "package-lock.json").read_text()


def test_page_needs_no_inline_script_or_style_and_no_other_host():
    index = (STATIC / "index.html").read_text()
    assert "<style" not in index
    assert not re.search(r"\son\w+=|\sstyle=", index)
    assert re.findall(r"<script[^>]*>(.*?)</script>", index, flags=re.S) == [""]
    for name in ("index.html", "explorer.css"):
        hosts = re.findall(r"https?://[\w.-]+", (STATIC / name).read_text())
        assert set(hosts) <= {"http://www.w3.org"}


def test_no_source_sets_html():
    for source in (WEB / "src").glob("*.ts"):
        text = source.read_text()
        assert not re.search(FORBIDDEN, text), source


def test_licences_of_what_is_bundled_are_shipped():
    text = (STATIC / "LICENSES.txt").read_text()
    for name, words in (("uPlot", "The MIT License"), ("Inter", "SIL OPEN FONT LICENSE")):
        assert name in text
        assert words.lower() in text.lower()
