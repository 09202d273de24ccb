"""What the words of a description, French or English, suggest: a 3D T1w brain, an injection. They never decide.

Case, accents and underscores do not count.
"""

from __future__ import annotations

import re
import unicodedata


def as_set(words: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(words.split())


LIKELY, UNLIKELY, UNKNOWN = "likely", "unlikely", ""

#: Sequences that are 3D and T1-weighted by their very name.
_T1_3D = as_set("mprage mpr mpv bravo spgr fspgr irspgr irfspgr efgre tfe tfl ffe vibe lava thrive mp2rage turboflash")
_HEAD = as_set(
    "brain head skull cerebral cerebrale encephale encephalique encephalic cerveau crane cranien cranienne tete "
    "neuro neurocrane hippocampe hippocampes dementia demence"
)
_OTHER_WEIGHTING = as_set(
    "t2 t2w t2star flair stir dwi diff diffusion dti adc trace swi swan tof mra angio arm asl pcasl perf perfusion "
    "dsc dce bold fmri irmf ep2d spectro mrs csi fieldmap b0 ciss fiesta drive dp pd"
)
_NO_IMAGE = as_set(
    "loc localizer localiser scout survey reperage calibration calib asset screenshot report rapport phoenix shim "
    "mip minip"
)
_OTHER_BODY = as_set(
    "spine cspine tspine lspine rachis moelle cervical lombaire lumbar dorsal thorax chest abdomen abdominal pelvis "
    "pelvien bassin knee genou hip hanche shoulder epaule elbow coude wrist poignet hand foot pied ankle cheville "
    "breast sein prostate liver foie kidney rein heart coeur cardiac cardiaque uterus neck cou leg jambe femur "
    "fetal foetal phantom fantome"
)

_CONTRAST_WORDS = as_set(
    "iv gd gbca ce pdc contrast contraste rehausse rehaussement enhanced enhancement dotarem gadovist clariscan "
    "prohance multihance magnevist omniscan artirem elucirem"
)
_WITH = as_set("avec with w av post apres after plus")
_WITHOUT = as_set("sans ss without wo no non not pas ni nor avant before pre absence perhaps")
_AND = as_set("et and puis then ampersand slash")
#: After the agent: "injection : non", "gado refuse".
_DENIED = as_set("non no none not aucun aucune refus refuse refusee refused")
#: "stade IV", "IVth ventricle", "phase contrast" speak of no injection.
_NUMBERED = as_set("stade stage grade type ventricule ventricle nerf nerve classe class")
_CONTRAST_OF = as_set("phase high low soft")
#: What stands at either end of a word without a space.
_GLUE = re.compile(r"^(?:[23]d|t[12]w?)(?=[a-z0-9])|(?<=[a-z0-9])(?:[23]d|t[12]w?)$")
_FURTHEST_WORDS = 4


def suggestion(attribute: str, text: str) -> str:
    """Return LIKELY, UNLIKELY or UNKNOWN: whether images with that value may be 3D T1w brains.

    `attribute` is SeriesDescription, BodyPartExamined or StudyDescription. Words that contradict each other make
    UNKNOWN.

    >>> suggestion("SeriesDescription", "Sag T1 3D MPRAGE"), suggestion("StudyDescription", "IRM du genou")
    ('likely', 'unlikely')
    """
    found = set(_tokens(text))
    body, elsewhere = bool(found & _HEAD), bool(found & _OTHER_BODY)
    if attribute != "SeriesDescription":
        return _verdict(body, elsewhere)
    weighted = bool(found & {"t1", "t1w"}) and "3d" in found
    return _verdict(weighted or bool(found & _T1_3D), elsewhere or bool(found & (_OTHER_WEIGHTING | _NO_IMAGE)))


def injected(*, study: str | None, series: str | None) -> bool | None:
    """Return whether the descriptions say that a contrast agent was given; None without any description.

    Denials are understood ("sans injection"), and what the series says counts before what the study says.
    `headers.noted_as_injected` is the rule of Bottani et al. 2022, which looks for gado, inj and iv alone.

    >>> injected(study="IRM cerebrale sans et avec injection", series="T1 3D sans gado")
    False
    """
    told = [verdict for text in (series, study) if text and (verdict := _mentioned(text)) is not None]
    if told:
        return told[0]
    return False if series or study else None


def folded(text: str) -> str:
    """Return the text in lower case without accents.

    >>> folded("Encéphale ŒDÈME")
    'encephale oedeme'
    """
    plain = unicodedata.normalize("NFKD", text.replace("œ", "oe").replace("Œ", "OE"))
    return "".join(character for character in plain if not unicodedata.combining(character)).lower()


def _tokens(text: str) -> list[str]:
    """Return the words, glued ones also in parts: ``3dt1`` has 3d and t1, ``t1tfe`` has t1 and tfe."""
    words = re.findall(r"[a-z0-9]+", folded(text))
    return [part for word in words for part in (word, *_GLUE.findall(word), _GLUE.sub("", word)) if part]


def _mentioned(text: str) -> bool | None:
    """Return whether an injection is spoken of: True, denied: False, or not mentioned: None."""
    words = _spoken(text)
    verdicts = [_is_given(words, place) for place in range(len(words)) if _is_agent(words, place)]
    return any(verdicts) if verdicts else None


def _spoken(text: str) -> list[str]:
    """Return the words in order, with signs and shorthand spelt out."""
    text = folded(text).replace("_", " ")
    for sign, meaning in (
        (r"\+\s*/\s*-|\+-|±", " perhaps "),
        (r"(?<![a-z])w\s*/\s*o(?![a-z])", " without "),
        (r"(?<![a-z])w\s*/", " with "),
        (r"(?<![a-z])s\s*/(?=\s*(?:inj|gado|iv|contr|pdc))", " sans "),
        (r"\+\s*c(?![a-z0-9])|(?<![a-z0-9])c\s*\+", " plus contrast "),
        (r"(?<![a-z0-9])-\s*c(?![a-z0-9])|(?<![a-z0-9])c-(?![a-z0-9-])", " sans contrast "),
        (r"\+", " plus "),
        (r"&", " ampersand "),
        (r"/", " slash "),
        (r"(?<![a-z])(sans|ss|non|no|without|wo|with|avec|post|pre)(?=gado|inj|contrast)", r"\1 "),
    ):
        text = re.sub(sign, meaning, text)
    return re.findall(r"[a-z]+|[.;,]", text)


def _is_agent(words: list[str], place: int) -> bool:
    word, before = words[place], words[place - 1] if place else ""
    after = words[place + 1] if place + 1 < len(words) else ""
    if word == "iv":
        return before not in _NUMBERED and after not in _NUMBERED
    if word in ("contrast", "contraste"):
        return before not in _CONTRAST_OF and words[place + 1 : place + 3] != ["de", "phase"]
    return "gado" in word or (word.startswith("inj") and not word.startswith("injur")) or word in _CONTRAST_WORDS


def _is_given(words: list[str], place: int) -> bool:
    if place + 1 < len(words) and words[place + 1] in _DENIED and not _is_agent_soon(words, place + 2):
        return False
    for steps, at in enumerate(range(place - 1, -1, -1), start=1):
        word, before = words[at], words[max(0, at - 2) : at]
        if word in ".;," or steps > _FURTHEST_WORDS:
            break
        if word in _WITH:
            return True
        if word in _WITHOUT:
            return _has_both(word, before)
        if word in _AND:
            break  # what stood before was said of something else
    return True


def _is_agent_soon(words: list[str], start: int) -> bool:
    """Return whether a denial that ends one agent begins another: "gado non inj"."""
    return any(_is_agent(words, place) for place in range(start, min(start + 2, len(words))))


def _has_both(denial: str, before: list[str]) -> bool:
    """Return whether the denial is half of "with and without"."""
    if before and before[-1] in _AND:
        return len(before) == 2 and before[0] in _WITH
    return bool(before) and before[-1] in ("w", "with", "avec") and denial in ("wo", "without", "sans")


def _verdict(speaks_for: bool, speaks_against: bool) -> str:
    if speaks_for == speaks_against:
        return UNKNOWN
    return LIKELY if speaks_for else UNLIKELY
