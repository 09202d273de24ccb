import tomllib

from qcbench.toml_lines import lines_of

ODD = '''# [[criteria]] = "no"
a = 1.5 # x = {
"b.c" = 'it is [x]'
d.e = """two
[x] "quoted" = 3 \\""" still
""""
g = [ [1, 2],
  [3, # com ] ment
    { h = "}", i = [ "]" ] } ],
]
date = 1979-05-27 07:32:00
[[t]]
n = 0
  [[t.u]]
  k = -1
  [[t.u]]
  k = 2
  [t.v.w]
  z = """\\\\"""
[[t]]
n = true
[ "q r" . s ]
x = inf'''


def places(value, place=()):
    """Return the place of every entry of a document."""
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place, *(found for name, entry in below for found in places(entry, (*place, name)))]


def test_every_entry_of_a_text_that_is_hard_to_read_has_its_line():
    lines = lines_of(ODD)
    assert set(places(tomllib.loads(ODD))) == set(lines)
    expected = {
        ("a",): 2,
        ("b.c",): 3,
        ("d", "e"): 4,
        ("g",): 7,
        ("g", 0, 1): 7,
        ("g", 1, 0): 8,
        ("g", 1, 1, "i", 0): 9,
        ("date",): 11,
        ("t", 0): 12,
        ("t", 0, "u", 0, "k"): 15,
        ("t", 0, "u", 1): 16,
        ("t", 0, "v", "w", "z"): 19,
        ("t", 1, "n"): 21,
        ("q r", "s", "x"): 23,
    }
    assert {place: lines[place] for place in expected} == expected


def test_lines_are_counted_where_they_end_as_on_windows():
    assert lines_of('a = 1\r\n\r\n[b]\r\nc = """x\r\ny"""\r\nd = 2\r\n')[("b", "d")] == 6
