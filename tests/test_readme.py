"""What README and docs show runs as shown."""

import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from sklearn.exceptions import ConvergenceWarning

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_blocks_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace = {}
    for block in blocks(page, "python"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            exec(compile(block, str(page), "exec"), namespace)


def test_readme_opens_with_a_ten_line_example(capsys):
    first = blocks(PAGES[0], "python")[0]
    assert len([line for line in first.splitlines() if line.strip()]) <= 12
    exec(first, {})
    assert "backpropclassifier__learning_rate" in capsys.readouterr().out


def test_readme_has_two_commands():
    commands = blocks(PAGES[0], "bash")
    assert len(commands) == 2
    assert all(len(command.strip().splitlines()) == 1 for command in commands)
    assert "examples/plot_tune_learning_rate.py" in commands[0]
    assert "-m pytest" in commands[1]


def test_excerpts_are_the_code():
    source = "\n".join(path.read_text() for path in (ROOT / "bpestimator").rglob("*.py"))
    lines = {line.strip() for line in source.splitlines()}
    excerpts = [block for page in PAGES for block in blocks(page, "py")]
    assert excerpts
    for excerpt in excerpts:
        missing = [line for line in excerpt.splitlines() if line.strip() not in lines]
        assert not missing


def test_links_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_example_prints_a_table_and_saves_a_picture(tmp_path):
    picture = tmp_path / "rates.png"
    script = ROOT / "examples" / "plot_tune_learning_rate.py"
    done = subprocess.run(
        [sys.executable, str(script), "--output", str(picture)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "ConvergenceWarning" not in done.stderr
    assert "<- best" in done.stdout
    assert str(picture) in done.stdout
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["class_weights", "quantile_intervals", "early_stopping"])
def test_other_examples_save_their_pictures(name, tmp_path):
    pytest.importorskip("matplotlib")
    picture = tmp_path / "picture.png"
    script = ROOT / "examples" / f"plot_{name}.py"
    done = subprocess.run(
        [sys.executable, str(script), "--output", str(picture)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert f"Picture saved as {picture}" in done.stdout
    assert picture.stat().st_size > 10_000
