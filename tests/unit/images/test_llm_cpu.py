"""The image of language models finds the model that a service has, and says what is wrong with one."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from backendai_ctl.acceptance.tiny_model import tiny_model

REPOSITORY = Path(__file__).resolve().parents[3]
PROGRAM = REPOSITORY / "packaging/images/llm-cpu/llama_server.py"
FLAGS = "processor\t: 0\nflags\t\t: fpu avx avx2 bmi2 f16c {}\n"


@pytest.fixture
def server() -> ModuleType:
    spec = importlib.util.spec_from_file_location("llama_server", PROGRAM)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A folder with two models and what is none."""
    for name in ("b.gguf", "a.gguf"):
        (tmp_path / name).write_bytes(b"GGUF and more")
    (tmp_path / "0.txt").write_text("about")
    (tmp_path / "0.gguf").mkdir()
    return tmp_path


def said(server: ModuleType, model: Path) -> str:
    with pytest.raises(SystemExit) as ended:
        server.found(str(model))
    return str(ended.value)


def test_a_folder_stands_for_its_first_model(server: ModuleType, models: Path) -> None:
    assert server.found(str(models)) == models / "a.gguf"
    assert server.found(str(models / "b.gguf")) == models / "b.gguf"


def test_without_a_word_it_takes_the_folder_it_is_started_in(
    server: ModuleType, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the variant starts it where the folder's mount point is another than it expects."""
    monkeypatch.chdir(models)
    assert server.found(server.read(["-m", ""]).model) == Path("a.gguf")


def test_what_is_no_model_is_told_with_a_cure(server: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "cut.gguf").write_bytes(b"GG")
    (tmp_path / "empty").mkdir()
    for name, problem in {
        "cut.gguf": "is not a model in the format GGUF\nhint: is it whole",
        "empty": f"no *.gguf in {tmp_path}/empty\nhint: put a model",
        "away.gguf": "No such file or directory\nhint: name a file",
    }.items():
        assert problem in said(server, tmp_path / name)


def test_it_uses_the_cores_of_the_session(
    server: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NPROC", "3")
    assert server.cores() == 3
    for untold in ("", "0", "many"):
        monkeypatch.setenv("NPROC", untold)
        assert server.cores() >= 1


def test_the_environment_sets_what_the_command_does_not(
    server: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Forms of the web UI have fields for it, whatever the variant."""
    assert server.read([]).ctx_size == server.CONTEXT
    monkeypatch.setenv("LLAMA_ARG_CTX_SIZE", "32768")
    monkeypatch.setenv("LLAMA_ARG_N_PARALLEL", "2")
    found = server.read(["-c", "1024"])
    assert (found.ctx_size, found.parallel, server.read([]).ctx_size) == (1024, 2, 32768)
    monkeypatch.setenv("LLAMA_ARG_CTX_SIZE", "much")
    with pytest.raises(SystemExit):
        server.read([])
    assert "-c/--ctx-size: invalid int value: 'much'" in capsys.readouterr().err


def test_a_cpu_that_cannot_is_named_before_it_dies(server: ModuleType) -> None:
    server.check_cpu(FLAGS.format("fma"))
    with pytest.raises(SystemExit, match="this host's CPU has no fma\nhint: "):
        server.check_cpu(FLAGS.format(""))
    with pytest.raises(SystemExit, match="avx2, bmi2, f16c, fma"):
        server.check_cpu("")


def test_the_model_of_an_acceptance_is_in_the_format(tmp_path: Path, server: ModuleType) -> None:
    made = tiny_model()
    (tmp_path / "tiny.gguf").write_bytes(made)
    assert server.found(str(tmp_path)).name == "tiny.gguf" and len(made) < 200_000
