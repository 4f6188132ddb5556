"""The docs site builds from `docs/`, strictly, with a reference of the packages."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from deploy.tools import interpreter

ROOT = Path(__file__).resolve().parents[3]
PYTHON = interpreter("deploy-tools")
needs_mkdocs = pytest.mark.skipif(
    PYTHON is None, reason="no mkdocs here; make it: python deploy/tools.py deploy-tools"
)


@needs_mkdocs
def test_the_home_page_links_to_files_that_are_there() -> None:
    assert PYTHON is not None
    code = "from deploy.site.pages import home; print(home())"
    done = subprocess.run([PYTHON, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    links = [link for link in re.findall(r"\]\(([^)]+)\)", done.stdout) if "://" not in link]
    assert "guides/deploy.md" in links
    assert [link for link in links if not (ROOT / "docs" / link).is_file()] == []


@needs_mkdocs
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_site_builds_and_asks_nothing_from_outside(tmp_path: Path) -> None:
    assert PYTHON is not None
    command = [str(PYTHON.with_name("mkdocs")), "build", "--strict", "--site-dir", str(tmp_path / "site")]
    env = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    site = tmp_path / "site"
    for page in ("index.html", "guides/deploy/index.html", "guides/watch/index.html"):
        assert (site / page).is_file()
    text = (site / "reference" / "bitloom" / "index.html").read_text(encoding="utf-8")
    assert "read_manifest" in text
    assert "raise VariantError where there is none" in text
    for path in site.rglob("index.html"):
        assert 'src="http' not in path.read_text(encoding="utf-8"), path
