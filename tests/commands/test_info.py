from pose_refine.cli import main


def test_the_embedded_weights(capsys):
    assert main(["info"]) == 0
    out = capsys.readouterr().out
    for words in ("name:       base", "PP-TinyPose", "19: nose", "(verified)"):
        assert words in out


def test_weights_without_a_card(tiny, capsys):
    assert main(["info", str(tiny)]) == 0
    out = capsys.readouterr().out
    assert "name:       tiny" in out
    assert "no model card" in out


def test_damaged_weights(tiny, tmp_path, caplog):
    (tmp_path / "config.json").write_bytes((tiny / "config.json").read_bytes())
    (tmp_path / "model.safetensors").write_bytes((tiny / "model.safetensors").read_bytes()[:-1])
    assert main(["info", str(tmp_path)]) == 1
    assert "truncated or changed" in caplog.text
