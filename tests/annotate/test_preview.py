import pytest

from qcbench import protocol, store
from qcbench.annotate import preview, queue
from qcbench.errors import ProtocolError, UsageError


def test_the_shipped_pictures_wait_for_a_rater_under_the_protocol_and_are_gone_afterwards():
    with preview.study("mriqc") as study:
        assert study.protocol == protocol.load("mriqc")
        assert len(queue.load(study, preview.RATER)) == 9
        assert all(row["simulated"] for row in store.rows(study, "images"))
    assert not study.folder.exists()


def test_own_pictures_may_be_given(tmp_path):
    from PIL import Image

    Image.new("RGB", (30, 20), "grey").save(tmp_path / "one.png")
    with preview.study("t1w-warehouse", tmp_path) as study:
        [image] = queue.load(study, preview.RATER)
        assert study.absolute(image.screenshot_path).is_file()
    (tmp_path / "one.png").unlink()
    with pytest.raises(UsageError, match="holds no picture"), preview.study("t1w-warehouse", tmp_path):
        pass


def test_a_protocol_with_a_mistake_is_refused_before_anything_is_served(tmp_path):
    file = tmp_path / "wrong.toml"
    file.write_text('name = "x"\nversion = 1\n')
    with pytest.raises(ProtocolError, match="line 2"), preview.study(str(file)):
        pass
