import pytest

from qcbench.widgets.transport import BURST, MESSAGE_LIMIT, REFUSALS_LOGGED, MessageLimit, Transport, static_text


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


class Echo(Transport):
    _esm = "export default {}"

    def receive(self, message):
        return [({"kind": "echo", "message": message}, b"picture")]


@pytest.fixture
def sent(monkeypatch):
    messages = []
    monkeypatch.setattr(Echo, "send", lambda self, content, buffers=None: messages.append((content, buffers)))
    return messages


def test_an_answer_goes_out_with_its_buffer(sent):
    Echo()._on_message(None, {"kind": "hello"}, [])
    assert sent == [({"kind": "echo", "message": {"kind": "hello"}}, [b"picture"])]


def test_a_message_that_is_too_large_or_carries_buffers_is_not_acted_on(sent, caplog):
    widget = Echo()
    widget._on_message(None, {"kind": "label", "comment": "x" * MESSAGE_LIMIT}, [])
    widget._on_message(None, {"kind": "label"}, [b"x"])
    assert sent == []
    assert "too large or too many" in caplog.text


def test_a_flood_is_cut_and_a_person_is_let_through_again():
    clock = Clock()
    limit = MessageLimit(clock)
    assert sum(limit.allows({}) for _ in range(10_000)) == BURST
    clock.now = 1.0
    assert limit.allows({})


def test_the_browser_cannot_change_a_trait():
    widget = Echo()
    before = widget.get_state()
    widget.set_state({"_esm": "import 'evil'", "theme": "light", "fills_page": True})
    assert widget.get_state() == before


@pytest.mark.parametrize(("server", "fills"), [("voila/0.5.13", True), ("", False)])
def test_the_page_is_filled_only_under_voila(monkeypatch, server, fills):
    monkeypatch.setenv("SERVER_SOFTWARE", server)
    assert Echo().fills_page is fills


def test_the_page_s_code_imports_nothing_and_writes_no_markup():
    code = static_text("transport.js", "labeller_view.js", "labeller_pictures.js", "labeller.js")
    for forbidden in ("import ", "innerHTML", "insertAdjacentHTML", "document.write", "http:", "https:", "eval("):
        lines = [line for line in code.splitlines() if not line.strip().startswith(("//", "/*", "*"))]
        assert not any(forbidden in line.split("//")[0] for line in lines), forbidden


def test_refusals_are_in_the_log_and_a_page_that_goes_on_does_not_fill_it(monkeypatch, caplog):
    class Refusing(Echo):
        def receive(self, message):
            return [({"kind": "refused", "why": "a position is a whole number"}, None)]

    widget = Refusing()
    monkeypatch.setattr(Refusing, "send", lambda self, content, buffers=None: None)
    for _ in range(REFUSALS_LOGGED + 20):
        widget._on_message(None, {"kind": "goto"}, [])
    assert caplog.messages == ["a message from the browser is refused: a position is a whole number"] * REFUSALS_LOGGED
