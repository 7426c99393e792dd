"""The result of `sam build`: small enough, complete, and able to start with its layers alone."""

import hashlib
import re
from itertools import combinations
from pathlib import Path

import pytest
from isolation import ROOT, Isolated
from samtranslator.yaml_helper import yaml_parse

from b3shared.params.steps import Step
from infra.packaging import layer
from infra.packaging.built import Packaged, images, unzipped
from infra.packaging.images import engine_answers, image_functions
from infra.packaging.sizes import BAR, table

IMAGES = image_functions()
RESOURCES = yaml_parse((ROOT / "template.yaml").read_text(encoding="utf-8"))["Resources"]
FUNCTIONS = sorted(
    name
    for name, found in RESOURCES.items()
    if found["Type"] == "AWS::Serverless::Function" and name not in IMAGES
)
STARTS = """
import importlib, pathlib, sys
module, name = {handler!r}.rsplit(".", 1)
assert callable(getattr(importlib.import_module(module), name))
for step in {steps!r}:
    importlib.import_module("b3shared.pipeline.steps." + step)
print(*(m.__file__ for m in list(sys.modules.values()) if getattr(m, "__file__", None)), sep="\\n")
"""


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def steps_of(function: Packaged) -> list[str]:
    """The steps that the function's handler performs: they are imported on the first call only."""
    code = (function.folder / "app.py").read_text(encoding="utf-8")
    performed = re.findall(r"\b(?:perform|make_handler)\(([^)]*)\)", code)
    return [name.lower() for name in re.findall(r"\bStep\.([A-Z_]+)", " ".join(performed))]


def test_every_function_of_the_template_is_built(built: dict[str, Packaged]) -> None:
    assert sorted(built) == FUNCTIONS
    for name, function in built.items():
        source = ROOT / RESOURCES[name]["Properties"]["CodeUri"]
        assert files(function.folder) == {
            name for name in files(source) if "__pycache__" not in name
        }


def test_the_image_is_built_where_there_is_an_engine_and_left_out_where_there_is_none(
    built: dict[str, Packaged],
) -> None:
    assert images().keys() == IMAGES.keys() == {"TrainLstmFunction"}
    if all(images().values()):
        assert engine_answers()


def test_no_function_exceeds_the_size_limit(built: dict[str, Packaged]) -> None:
    assert all(function.size <= BAR for function in built.values()), table(list(built.values()))


def test_a_function_that_is_too_large_is_named(built: dict[str, Packaged], tmp_path: Path) -> None:
    with (tmp_path / "large.bin").open("wb") as file:
        file.truncate(BAR + 1)
    large = Packaged("LargeFunction", tmp_path, "app.handler", (), {})
    assert unzipped(tmp_path) == BAR + 1
    assert [
        line.split()[0]
        for line in table([*built.values(), large]).splitlines()
        if "TOO LARGE" in line
    ] == ["LargeFunction"]


def test_the_common_layer_has_every_file_of_the_package(built: dict[str, Packaged]) -> None:
    common = built["PipelineApiFunction"].layers[0] / "python" / "b3shared"
    expected = {name for name in files(ROOT / "b3shared") if "__pycache__" not in name}
    assert "evaluation/report/template.html.j2" in expected
    assert {name for name in files(common) if "__pycache__" not in name} == expected


def test_the_control_functions_carry_no_numerics(built: dict[str, Packaged]) -> None:
    (common,) = built["PipelineApiFunction"].layers
    assert not {"numpy", "pandas", "scipy", "onnxruntime"} & {
        path.name for path in (common / "python").iterdir()
    }


def test_layers_that_are_used_together_have_no_file_in_common(built: dict[str, Packaged]) -> None:
    pairs = {pair for function in built.values() for pair in combinations(function.layers, 2)}
    assert pairs
    for one, other in pairs:
        assert not files(one) & files(other), (
            f"{one.name} and {other.name} would overwrite each other in /opt"
        )
        named = [
            {path.name.split("-")[0] for path in (it / "python").glob("*.dist-info")}
            for it in (one, other)
        ]
        assert not named[0] & named[1]


def test_models_reports_and_predictions_need_no_pandas(built: dict[str, Packaged]) -> None:
    for name in ("TrainRfFunction", "EvaluateModelFunction", "PredictFunction"):
        assert not [path for path in built[name].path if (Path(path) / "pandas").exists()]


def test_predictions_need_nothing_that_trains(built: dict[str, Packaged]) -> None:
    assert built["PredictFunction"].size <= 110_000_000
    assert not {"sklearn", "scipy", "skl2onnx"} & {
        path.name for folder in built["PredictFunction"].path for path in Path(folder).iterdir()
    }


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_starts_with_its_folder_and_layers_only(
    name: str, built: dict[str, Packaged], isolated: Isolated
) -> None:
    function = built[name]
    starts = STARTS.format(handler=function.handler, steps=steps_of(function))
    loaded = isolated.run(function, starts).split("\n")
    ours = [file for file in loaded if file.startswith(tuple(function.path))]
    assert any("b3shared" in file for file in ours)
    assert not [
        file
        for file in loaded
        if "site-packages" in file or file.startswith(str(ROOT / "b3shared"))
    ]


def test_every_step_is_performed_by_a_built_function(built: dict[str, Packaged]) -> None:
    steps = {step for function in built.values() for step in steps_of(function)}
    assert steps == set(Step)


def test_a_function_cannot_see_what_is_not_in_its_layers(
    built: dict[str, Packaged], isolated: Isolated
) -> None:
    code = """
from importlib.util import find_spec
print([name for name in ("moto", "pandas", "sklearn", "pytest", "click") if find_spec(name)])
"""
    assert isolated.run(built["PipelineApiFunction"], code).strip() == "[]"
    assert isolated.run(built["LoadDataFunction"], code).strip() == "['pandas']"
    assert isolated.run(built["TrainRfFunction"], code).strip() == "['sklearn']"


def test_bytecode_is_unchecked_and_names_no_folder_of_this_machine(
    built: dict[str, Packaged], isolated: Isolated
) -> None:
    cached = "b3shared.params.run.__cached__"
    code = f"""
import b3shared.params.run, marshal
code = marshal.loads(open({cached}, 'rb').read()[16:])
print({cached}, code.co_filename)
"""
    file, named = isolated.run(built["LoadDataFunction"], code).split()
    assert Path(file).read_bytes()[4:8] == b"\x01\0\0\0"  # PEP 552: hash-based, unchecked
    assert named == "/opt/python/b3shared/params/run.py"


def test_a_layer_built_twice_has_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listings = []
    for seed in ("1", "2"):
        monkeypatch.setenv("PYTHONHASHSEED", seed)
        layer.build("common", tmp_path / seed)
        listings.append(content_listing(tmp_path / seed))
    assert listings[0] == listings[1]


def content_listing(folder: Path) -> str:
    """Names, modes, times and hashes of all files of a folder."""
    lines = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        stat = path.stat()
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        lines.append(f"{path.relative_to(folder)} {stat.st_mode:o} {int(stat.st_mtime)} {content}")
    return "\n".join(lines)
