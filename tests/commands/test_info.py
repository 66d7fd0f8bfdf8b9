import pytest

from pose_refine.cli import main


def test_the_embedded_weights(capsys):
    assert main(["info"]) == 0
    out = capsys.readouterr().out
    for words in ("name:       base", "PP-TinyPose", "19: nose", "(verified)"):
        assert words in out


def test_a_name_of_the_embedded_weights(capsys):
    assert main(["info", "small"]) == 0
    out = capsys.readouterr().out
    assert "name:       small" in out
    assert "views:      1 of" in out


def test_weights_without_a_card(tiny, capsys):
    assert main(["info", str(tiny)]) == 0
    out = capsys.readouterr().out
    assert "name:       tiny" in out
    assert "no model card" in out


def test_exported_weights(exported, capsys, caplog):
    pytest.importorskip("onnxruntime")
    assert main(["info", "--weights", str(exported)]) == 0
    told = capsys.readouterr().out
    for words in ("name:       base", "19: nose", f"found in:   {exported}", "(SHA-256)", "(of this file)"):
        assert words in told
    assert main(["info", str(exported)]) == 0
    assert capsys.readouterr().out == told
    assert main(["info", str(exported), "--weights", "base"]) == 1
    assert "give one of them" in caplog.text


def test_damaged_weights(tiny, tmp_path, caplog):
    (tmp_path / "config.json").write_bytes((tiny / "config.json").read_bytes())
    (tmp_path / "model.safetensors").write_bytes((tiny / "model.safetensors").read_bytes()[:-1])
    assert main(["info", str(tmp_path)]) == 1
    assert "truncated or changed" in caplog.text
