import pytest

from qcbench import images, store
from qcbench.annotate import exemplars
from qcbench.errors import ProtocolError, UsageError
from qcbench.study import Study


@pytest.fixture
def study(tmp_path):
    import numpy as np

    made = Study.create(tmp_path / "study", raters=["alice", "bob"])
    picture = made.derivatives / "a.png"
    sha256 = images.save_png(picture, np.arange(200, dtype="uint8").reshape(10, 20))
    store.write(
        made, "images", [{"image_id": "a", "participant_id": "sub-a", "source_path": "a.nii.gz", "simulated": False}]
    )
    drawn = {"screenshot_path": made.relative(picture), "screenshot_sha256": sha256, "preprocessing_preset": "x"}
    store.write(made, "preprocessed", [{"image_id": "a", **drawn}])
    return made


def test_a_picture_of_the_study_takes_the_place_of_the_shipped_one_and_changes_the_hash_alone(study):
    shipped = study.protocol
    exemplars.put(study, "a", criterion="motion", value="2")
    own = Study(study.folder).protocol
    assert own.read_exemplar("motion", 2) == (study.derivatives / "a.png").read_bytes()
    assert own.read_exemplar("motion", 1) == shipped.read_exemplar("motion", 1)
    assert (own.sha256 != shipped.sha256, own.version) == (True, shipped.version)


@pytest.mark.parametrize(
    ("image_id", "criterion", "value", "told"),
    [
        ("a", "motion", "3", "no choice '3' of 'motion'"),
        ("a", "tier", "1", "gadolinium-true"),
        ("b", "motion", "2", "'b'"),
    ],
)
def test_what_the_protocol_or_the_study_does_not_have_is_refused(study, image_id, criterion, value, told):
    with pytest.raises(UsageError, match=told):
        exemplars.put(study, image_id, criterion=criterion, value=value)


def test_a_picture_that_shows_nothing_of_the_protocol_is_named(study):
    study.exemplars.mkdir()
    (study.exemplars / "motoin-2.png").write_bytes(b"x")
    with pytest.raises(ProtocolError, match=r"motoin-2\.png shows nothing of the protocol t1w-warehouse"):
        Study(study.folder).protocol  # noqa: B018 - read on access


def test_raters_keep_the_former_picture_where_the_disk_refuses_the_new_one(study, monkeypatch):
    exemplars.put(study, "a", criterion="motion", value="2")
    former = (study.exemplars / "motion-2.png").rename(study.exemplars / "motion-2.jpg")

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(exemplars.durable, "write_bytes", full)
        with pytest.raises(OSError, match="No space"):
            exemplars.put(study, "a", criterion="motion", value="2")
    assert former.exists()
    exemplars.put(study, "a", criterion="motion", value="2")
    assert [path.name for path in study.exemplars.iterdir()] == ["motion-2.png"]
