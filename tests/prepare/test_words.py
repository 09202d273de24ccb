import pytest
from hypothesis import given
from hypothesis import strategies as st

from qcbench.prepare import headers, words

INJECTED = [
    "T1 3D GADO",
    "SAG T1 MPRAGE POST GADO",
    "IRM cérébrale avec injection",
    "IRM cerebrale sans et avec injection",
    "IRM cérébrale avec et sans injection",
    "IRM sans puis avec injection de gadolinium",
    "IRM avant et après injection",
    "MR BRAIN W WO GADO",
    "MRI brain with and without contrast",
    "MRI BRAIN W/ & W/O CONTRAST",
    "MR brain w/wo IV contrast",
    "MR BRAIN W IV CONTRAST",
    "avec iv",
    "T1_IV_post",
    "T1 +C",
    "AX T1 3D C+",
    "+GADO",
    "3DT1 INJ",
    "t1 3d injecté",
    "T1 INJECTEE",
    "T1 post-gd",
    "AX T1 FSPGR GD",
    "sag t1 apres inj",
    "T1 postgado",
    "t1gado",
    "T1 DOTAREM",
    "Brain post contrast",
    "contrast enhanced T1",
    "BRAVO Gadolinium",
    "T1 3D après produit de contraste",
    "3D T1 non inj puis inj",
    "sans injection, 3D T1 GADO",
    "T1 natif et gado",
    "T1 CE",
    "IRM suivi avec gado",
]
NOT_INJECTED = [
    "sans injection",
    "T1 3D SANS GADO",
    "sans IV",
    "non injecté",
    "T1 NON INJ",
    "SAG 3D T1 ss inj",
    "T1 s/ inj",
    "avant injection",
    "pre gado",
    "no gado",
    "w/o gado",
    "W/O GADOLINIUM",
    "without IV contrast",
    "MRI brain with no contrast",
    "non-contrast T1",
    "noncontrast brain",
    "sans injection de gadolinium",
    "IRM sans gado ni iv",
    "T1 -C",
    "T1 C-",
    "sansgado",
    "pas d'injection",
    "injection : non",
    "Gado refusé",
    "IRM cérébrale +/- injection",
    "IRM cérébrale suivi",
    "native",
    "T1 natif",
    "drive sag",
    "relative CBV",
    "head injury",
    "stade IV",
    "4eme ventricule IV ventricule",
    "phase contrast",
    "MPRAGE",
    "C-SPINE",
    "T1 SANS",
    "IRM avec anesthésie",
    "activation motrice",
]


@pytest.mark.parametrize("text", INJECTED)
def test_an_injection_is_understood(text):
    assert words.injected(study=None, series=text) is True


@pytest.mark.parametrize("text", NOT_INJECTED)
def test_a_denial_or_another_word_is_no_injection(text):
    assert words.injected(study=None, series=text) is False


@pytest.mark.parametrize("text", ["sans injection", "w/o gado", "non injecté", "head injury"])
def test_the_paper_s_rule_hears_no_denial(text):
    assert headers.noted_as_injected(text) is True
    assert words.injected(study=None, series=text) is False


def test_the_series_speaks_before_the_study():
    assert words.injected(study="IRM avec injection", series="T1 sans gado") is False
    assert words.injected(study="IRM avec injection", series="T1 3D") is True
    assert words.injected(study="IRM sans injection", series="T1 +C") is True


def test_nothing_said_is_not_known():
    assert words.injected(study=None, series="") is None
    assert words.injected(study="IRM", series=None) is False


@pytest.mark.parametrize(
    ("attribute", "text", "suggested"),
    [
        ("SeriesDescription", "Sag T1 MPRAGE", "likely"),
        ("SeriesDescription", "sag_t1_3d_inj", "likely"),
        ("SeriesDescription", "3DT1", "likely"),
        ("SeriesDescription", "T1_3D SAG", "likely"),
        ("SeriesDescription", "3D BRAVO", "likely"),
        ("SeriesDescription", "Accelerated SAG IR-SPGR", "likely"),
        ("SeriesDescription", "T1 TFE SAG INJECTE", "likely"),
        ("SeriesDescription", "AX FFE 3D", "likely"),
        ("SeriesDescription", "COR FFE3D", "likely"),
        ("SeriesDescription", "SAG T1TFE IV", "likely"),
        ("SeriesDescription", "3DT2 SPACE", "unlikely"),
        ("SeriesDescription", "AX T1 SE", ""),
        ("SeriesDescription", "3D T1 FLAIR", ""),
        ("SeriesDescription", "AX T2 FLAIR", "unlikely"),
        ("SeriesDescription", "3D TOF", "unlikely"),
        ("SeriesDescription", "Localizer", "unlikely"),
        ("SeriesDescription", "REPÉRAGE", "unlikely"),
        ("SeriesDescription", "MPRAGE genou", ""),
        ("SeriesDescription", "serie 4", ""),
        ("SeriesDescription", "", ""),
        ("BodyPartExamined", "ENCÉPHALE", "likely"),
        ("BodyPartExamined", "crâne", "likely"),
        ("BodyPartExamined", "KNEE", "unlikely"),
        ("BodyPartExamined", "", ""),
        ("StudyDescription", "IRM cérébrale suivi", "likely"),
        ("StudyDescription", "Brain^Routine", "likely"),
        ("StudyDescription", "IRM RACHIS LOMBAIRE", "unlikely"),
        ("StudyDescription", "Head and neck", ""),
        ("StudyDescription", "T1 MPRAGE", ""),
    ],
)
def test_the_dictionary_suggests(attribute, text, suggested):
    assert words.suggestion(attribute, text) == suggested


@given(st.sampled_from(INJECTED + NOT_INJECTED), st.sampled_from([str.upper, str.lower, str.title, words.folded]))
def test_case_and_accents_do_not_count(text, spelt):
    assert words.injected(study=None, series=spelt(text)) is words.injected(study=None, series=text)


@given(st.text(max_size=60))
def test_any_text_at_all_gets_an_answer(text):
    assert words.injected(study=text, series=None) in ((True, False) if text else (None,))
    assert words.suggestion("SeriesDescription", text) in ("likely", "unlikely", "")


@given(st.sampled_from(["sans", "non", "no", "without", "w/o", "pas de"]), st.sampled_from(["gado", "inj", "iv"]))
def test_a_word_of_denial_turns_the_verdict(denial, agent):
    assert words.injected(study=None, series=f"T1 3D {agent}") is True
    assert words.injected(study=None, series=f"T1 3D {denial} {agent}") is False
