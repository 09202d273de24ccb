"""The French of the pages: every sentence has one, with the same values in it, and none is left over."""

import ast
import errno
import json
import os
import re
from pathlib import Path

import pytest

import qcbench
from qcbench.study import Study
from qcbench.widgets.labeller import Labeller
from qcbench.widgets.review import Review

STATIC = Path(qcbench.__file__).parent / "widgets" / "static"
PACKAGE = Path(qcbench.__file__).parent
FRENCH_FILE = "words_french.js"

#: The files that the two pages are made of; other widgets speak English.
PAGES = sorted(
    {*STATIC.glob("labeller*.js"), *STATIC.glob("review*.js"), *STATIC.glob("seeing*.js"), STATIC / "grading.js"}
)

#: Where a message to the page is made, by the functions that take its words.
SPEAKERS = {
    "annotate/messages.py": ("Refused",),
    "annotate/conversation.py": ("Refused", "_refused"),
    "annotate/session.py": ("Refused", "StudyError", "nack", "disk_refused"),
    "annotate/review_session.py": ("Refused", "StudyError", "nack", "disk_refused"),
    "annotate/review.py": ("ReviewError",),
    "annotate/volumes.py": ("Refused",),
    "criteria.py": ("LabelError",),
    "protocol.py": ("LabelError",),
    "widgets/identity.py": ("StudyError",),
}

#: Functions that return words for a message.
RETURNED = {
    ("annotate/conversation.py", "disk_refused"),
    ("annotate/session.py", "_class"),
    ("criteria.py", "_wanted"),
}

#: Sentences that are not made by one of these calls, and where they are.
SAID_ELSEWHERE = {
    "widgets/static/transport.js": ("the kernel does not answer", "the label that it replaces was not saved"),
    "widgets/static/stopwatch.js": ("about {} min left", "about {} h left"),
    "widgets/static/labeller_pictures.js": ("the picture cannot be decoded; tell the coordinator",),
    "annotate/session.py": ("waiting", "labelled"),
    "study.py": ("{} is no rater of {}; study.toml names {}",),
}
DISK_ERRORS = (errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.ESTALE, errno.ENOENT)

_TEXT = r'"((?:[^"\\]|\\.)*)"'


def table(name):
    """Return a table of the French file: English to French."""
    text = (STATIC / FRENCH_FILE).read_text()
    body = re.search(rf"^const {name} = \{{$(.*?)^\}};$", text, re.MULTILINE | re.DOTALL).group(1)
    pairs = re.findall(rf"^  (?:{_TEXT}|(\w+)):\s+{_TEXT},$", body, re.MULTILINE)
    entries = [(json.loads(f'"{quoted}"') or bare, json.loads(f'"{french}"')) for quoted, bare, french in pairs]
    n_lines = sum(bool(line.strip()) and not line.strip().startswith("//") for line in body.splitlines())
    n_long = len(re.findall(r":$", body, re.MULTILINE))  # these take two lines
    assert len(entries) == n_lines - n_long == len(dict(entries))
    return dict(entries)


def placeholders(sentence):
    return sorted(set(re.findall(r"\{(\w+)\}", sentence)))


def canonical(sentence):
    """A sentence whatever its values are called."""
    return re.sub(r"\{[^}]*\}", "{}", sentence)


def page_sentences():
    """Every first argument of `t`, and of `say` in grading.js, and both forms of `tn`."""
    found = set()
    for path in PAGES:
        code = path.read_text()
        calls = re.findall(r"\b(?:t|tn|this\.say)\(", code)
        said = re.findall(rf"\b(?:t|this\.say)\({_TEXT}", code)
        forms = re.findall(rf"\btn\({_TEXT}, {_TEXT},", code)
        assert len(calls) == len(said) + len(forms), f"{path.name} calls t with something else than a text"
        found |= {json.loads(f'"{text}"') for pair in [(text,) for text in said] + forms for text in pair}
    return found


def text_of(node):
    """The words of a text or f-string, its values as {}; None for anything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
    return None


def kernel_sentences():
    """Every text that a refusal, an error or an answer is made of where it may reach a page."""
    found = set()
    for name, speakers in SPEAKERS.items():
        for node in ast.walk(ast.parse((PACKAGE / name).read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", None) in speakers:
                found |= {text_of(each) for each in node.args}
            if isinstance(node, ast.FunctionDef) and (name, node.name) in RETURNED:
                found |= {text_of(each.value) for each in ast.walk(node) if isinstance(each, ast.Return)}
                found |= {text_of(each) for each in node.args.defaults}
            if isinstance(node, ast.Dict):
                keys = [text_of(key) for key in node.keys]
                found |= {text_of(value) for key, value in zip(keys, node.values, strict=True) if key == "error"}
    return found - {None}


def other_sentences():
    """What is said in English by parts of the page that know no language, by the disk, and as a name of a count."""
    found = {os.strerror(number) for number in DISK_ERRORS} | {"input/output error"}
    for name, sentences in SAID_ELSEWHERE.items():
        code = re.sub(r"\$\{[^}]*\}", "{}", (PACKAGE / name).read_text())
        code = re.sub(r"\{[^{}]*!r\}|\{self\.folder\}|\{', '\.join\(self\.all_raters\)\}", "{}", code)
        for sentence in sentences:
            assert sentence in code, f"{name} does not say it any more"
        found |= set(sentences)
    return found


def test_every_sentence_of_the_pages_has_a_french_one_and_none_is_left_over():
    assert page_sentences() == set(table("FRENCH"))


def test_every_sentence_of_the_kernel_has_a_french_one_and_none_is_left_over():
    said = kernel_sentences() | other_sentences()
    assert len(said) > 50
    assert said == {canonical(english) for english in table("FRENCH_TOLD")}


@pytest.mark.parametrize("name", ["FRENCH", "FRENCH_TOLD"])
def test_a_french_sentence_has_the_values_of_the_english_one(name):
    entries = table(name)
    assert {english for english, french in entries.items() if placeholders(english) != placeholders(french)} == set()
    assert all(french.strip() and "\N{NO-BREAK SPACE}" not in french for french in entries.values())


def test_no_text_of_the_pages_goes_past_the_function_that_knows_the_language():
    """No literal that is not given to `t` has two words, and no attribute that is read or heard is a literal."""
    found = []
    for path in PAGES:
        code = re.sub(r"^ *(//|/?\*).*$|(?<= )// .*$", "", path.read_text(), flags=re.MULTILINE)
        code = re.sub(rf"\b(?:t|this\.say)\({_TEXT}|\btn\({_TEXT}, {_TEXT}", "", code)
        literals = [quoted or template for quoted, template in re.findall(rf"{_TEXT}|`([^`]*)`", code)]
        words = [re.sub(r"\$\{[^}]*\}", "", literal) for literal in literals]
        found += [each for each in words if re.search("[A-Za-z]{2,},? [A-Za-z]{2,}", each) and "qc-" not in each]
        found += re.findall(r"(?:[{,] (?:text|title|placeholder|alt)|\"aria-label\"): \"\w[^\"]*\"", code)
        found += re.findall(r"(?:textContent = |view\.say\(|view\.words\()[\"`][^\"`]*\w[^\"`]*[\"`]", code)
    # A font, and what the kernel says and `told` turns into French.
    assert set(found) == {"600 14px system-ui, sans-serif", "the picture cannot be decoded; tell the coordinator"}


@pytest.mark.parametrize(("name", "language"), [("t1w-warehouse", "en"), ("t1w-warehouse-fr", "fr")])
def test_a_page_is_told_the_language_of_its_study_and_the_browser_cannot_change_it(tmp_path, name, language):
    study = Study.create(tmp_path / "study", raters=["alice", "bob"], protocol=name)
    for widget in (Labeller(study, rater="alice"), Review(study, reviewer="alice"), Labeller(study, rater="mallory")):
        assert widget.problem  # there is nothing to do yet, and that is told in the study's language too
        widget.set_state({"language": "en" if language == "fr" else "fr"})
        assert widget.get_state()["language"] == language


def test_a_page_without_a_study_is_english(tmp_path):
    assert Labeller(tmp_path, rater="alice").language == "en"
