"""The arrows between the packages, read from the imports; and a few rules for every file."""

import ast
import importlib
from pathlib import Path

import pytest

import bpestimator

ROOT = Path(bpestimator.__file__).parent
FILES = {path.relative_to(ROOT).as_posix(): path for path in sorted(ROOT.rglob("*.py"))}
PACKAGES = [name for name in FILES if name.endswith("__init__.py")]

# Each may import those before it, never those after it.
ARROWS = ("nn", "training", "estimators", "lockstep", "model_selection", "inspection")
WITHOUT_SKLEARN = ("nn", "training")
COMPAT = "estimators/_sklearn_compat.py"
WARNINGS = "estimators/user_warnings.py"


def imports(file):
    """Every module and every name in a module that the file imports, dotted and absolute."""
    package = ["bpestimator", *Path(file).parent.parts]
    for node in ast.walk(ast.parse(FILES[file].read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else []
            module = ".".join([*base, *filter(None, [node.module])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def is_within(name, packages):
    return any(name == package or name.startswith(package + ".") for package in packages)


def test_there_is_something_to_read():
    assert {"nn/network.py", "training/trainer.py", "estimators/_base.py", COMPAT} <= set(FILES)
    assert "bpestimator.nn.NetworkSpec" in set(imports("estimators/_base.py"))


@pytest.mark.parametrize("file", FILES)
def test_arrows(file):
    package = file.split("/")[0]
    if package not in ARROWS:
        return
    forbidden = {f"bpestimator.{after}" for after in ARROWS[ARROWS.index(package) + 1 :]}
    forbidden |= {"sklearn"} if package in WITHOUT_SKLEARN else set()
    assert [name for name in imports(file) if is_within(name, forbidden)] == []


def test_the_arrows_know_every_package():
    assert {file.split("/")[0] for file in PACKAGES} == {*ARROWS, "__init__.py"}


def test_no_file_imports_itself_through_others():
    """Imports for type checking alone count as well."""
    modules = {module_of(file): file for file in FILES}
    arrows = {
        module: {file_imported(name, modules) for name in imports(file)} - {None, module}
        for module, file in modules.items()
        if not file.endswith("__init__.py")
    }
    for module in arrows:
        seen, ahead = set(), [module]
        while ahead:
            for imported in arrows.get(ahead.pop(), ()):
                assert imported != module, f"{module} imports itself through {sorted(seen)}"
                if imported not in seen:
                    seen.add(imported)
                    ahead.append(imported)


def module_of(file):
    return ".".join(["bpestimator", *Path(file).with_suffix("").parts])


def file_imported(name, modules):
    """The module that a dotted name is, or is in; of what a package hands on, its own module."""
    if name in modules:
        return name
    holder, _, own = name.rpartition(".")
    if holder in modules:
        return holder
    face = modules.get(f"{holder}.__init__")
    if face is None:
        return None
    handed_on = [one for one in imports(face) if one.endswith(f".{own}")]
    return file_imported(handed_on[0], modules) if handed_on else None


@pytest.mark.parametrize("file", FILES)
def test_only_the_compat_module_knows_what_scikit_learn_hides(file):
    hidden = [
        name
        for name in imports(file)
        if is_within(name, {"sklearn"}) and any(part.startswith("_") for part in name.split("."))
    ]
    assert hidden == [] or file == COMPAT


@pytest.mark.parametrize("file", FILES)
def test_a_module_is_private_to_its_package(file):
    home = ".".join(["bpestimator", *Path(file).parent.parts])
    for name in imports(file):
        parts = name.split(".")
        hidden = [k for k, part in enumerate(parts) if part.startswith("_")]
        if parts[0] == "bpestimator" and hidden:
            folder = ".".join(parts[: hidden[0]])
            assert is_within(home, {folder}), name


@pytest.mark.parametrize("file", [file for file in FILES if file.startswith("nn/")])
def test_the_maths_neither_prints_nor_draws(file):
    for node in ast.walk(ast.parse(FILES[file].read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id != "print", node.lineno
        if isinstance(node, ast.Attribute):
            assert ast.unparse(node) != "np.random", node.lineno


@pytest.mark.parametrize("file", FILES)
def test_a_file_holds_one_idea(file):
    assert len(FILES[file].read_text().splitlines()) <= 450
    assert ast.get_docstring(ast.parse(FILES[file].read_text()))


# Where anything at all may be raised, by code of the user's; and the test that says why.
BROAD_EXCEPTS = {
    "lockstep/preparing.py": "test_a_step_of_a_pipeline_that_raises_leaves_the_fit_to_raise_it",
    "lockstep/training.py": "test_an_optimizer_that_takes_one_model_only_trains_alone",
}


@pytest.mark.parametrize("file", FILES)
def test_what_is_expected_is_named(file):
    """A broad ``except`` would hide bugs of our own."""
    broad = [
        handler.lineno
        for handler in ast.walk(ast.parse(FILES[file].read_text()))
        if isinstance(handler, ast.ExceptHandler)
        and (handler.type is None or "Exception" in ast.unparse(handler.type).split("."))
    ]
    if file in BROAD_EXCEPTS:
        assert len(broad) == 1
        reasons = (Path(__file__).parent / "lockstep/test_grouping.py").read_text()
        assert f"def {BROAD_EXCEPTS[file]}(" in reasons
    else:
        assert broad == []


@pytest.mark.parametrize("file", FILES)
def test_one_file_warns_and_points_at_the_user(file):
    for node in ast.walk(ast.parse(FILES[file].read_text())):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "warnings.warn":
            assert file == WARNINGS, node.lineno
        if isinstance(node, ast.keyword) and node.arg == "stacklevel":
            assert not isinstance(node.value, ast.Constant), node.value.lineno


@pytest.mark.parametrize("package", PACKAGES)
def test_all_is_what_is_public(package):
    """A package's face is what its ``__init__`` imports by a public name: no more, no less."""
    name = ".".join(["bpestimator", *Path(package).parent.parts])
    module = importlib.import_module(name)
    if not hasattr(module, "__all__"):
        assert not list(imports(package))  # a folder that hands nothing on
        return
    assert len(module.__all__) == len(set(module.__all__))
    imported = {
        alias.asname or alias.name
        for node in ast.parse(FILES[package].read_text()).body
        if isinstance(node, ast.ImportFrom) and node.module != "__future__"
        for alias in node.names
    }
    assert set(module.__all__) == {name for name in imported if not name.startswith("_")}
    assert all(hasattr(module, public) for public in module.__all__)


def test_the_face():
    assert {"BackpropClassifier", "BackpropRegressor"} <= set(bpestimator.__all__)
