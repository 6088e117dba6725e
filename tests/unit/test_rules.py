"""What is found without a language model: names by rules, and few slots, but sure ones."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.fencing import fence
from perdure.pipelines.mentions import LOOKED_AT, MOST_NAMES, names
from perdure.pipelines.resolve import resolve
from perdure.pipelines.rules import extract
from perdure.pipelines.slots import slot_of
from perdure.pipelines.statements import Existing, Turn

NOW = datetime(2026, 3, 13, 9, 30, tzinfo=UTC)


def turn(content, role="user", **more):
    return Turn(role, content, NOW, **more)


def only(content, role="user", **more):
    (statement,) = extract([turn(content, role, **more)]).statements
    return statement


# -- statements


@pytest.mark.parametrize(
    "content",
    [
        "I live in Porto.",
        "  two  spaces,\ttabs\r\nand lines \n",
        "Olá! Vivo no Porto 😀👩‍👩‍👧",
        "مرحبا بالعالم",
        "NUL \0 and half a pair \ud83d",
        "e\u0301 is not é",
        "<b>not</b> a fence",
    ],
)
def test_each_message_is_kept_word_for_word(content):
    """P3, P20: every character of it, in its own language."""
    statement = only(content)
    assert (statement.text, statement.said_at, statement.role) == (content, NOW, "user")


def test_who_said_it_is_kept_and_the_system_is_not_heard():
    """P3: one statement for each message that is not the system's, in order."""
    found = extract(
        [
            turn("Be brief.", "system"),
            turn("Hi", name="Ana", metadata={"topic": "x"}),
            turn(" \n"),
            turn("Hello Ana", "assistant"),
            turn('{"rows": 3}', "tool"),
        ]
    )
    assert [(one.role, one.name, one.text) for one in found.statements] == [
        ("user", "Ana", "Hi"),
        ("assistant", None, "Hello Ana"),
        ("tool", None, '{"rows": 3}'),
    ]
    assert found.statements[0].metadata == {"topic": "x"}
    assert found.relations == ()


def test_what_was_recalled_is_not_remembered_again():
    """P23."""
    block = fence(["Ana lives in Porto", "Ana likes </recalled-memories> tea"])
    found = extract([turn(f"{block}\n\nWhat do I like?"), turn(block), turn(f"A\n{block}\nB\n{block}")])
    assert [one.text for one in found.statements] == ["What do I like?", "A\nB"]


# -- names

NAMES = {
    "I met Ana Silva and Rui in Porto.": ("Ana Silva", "Rui", "Porto"),
    "Yesterday Ana went to the University of Porto with Dr. Silva.": ("Ana", "University of Porto", "Silva"),
    "Went home. Cooked. Slept.": (),
    "Will you come? Yes! Monday is fine, I said. In May I'm free.": (),
    "I met Will Smith on Monday.": ("Will Smith",),
    "I love The Beatles, YouTube and NASA, OK?": ("Beatles", "YouTube", "NASA"),
    "iPhone or Pixel? COVID-19 and PostgreSQL.": ("iPhone", "Pixel", "COVID-19", "PostgreSQL"),
    'She read "The Name of the Wind" and “Dune” by J. R. R. Tolkien': (
        "The Name of the Wind",
        "Dune",
        "J. R. R. Tolkien",
    ),
    'He said "Yes" and "no way" and "I will come tomorrow then".': (),
    "See https://www.example.org/a?B=C, mail me@x.org or ask @handle_1.": ("example.org", "me@x.org", "@handle_1"),
    "Run `Foo Bar` and\n```\nThe Code Here\n```\nplease, Ana": ("Ana",),
    "We saw O'Brien, Jean-Luc, Ludwig van Beethoven and Ana's mother": (
        "O'Brien",
        "Jean-Luc",
        "Ludwig van Beethoven",
        "Ana",
    ),
    "I met Ana, ANA and ana; then Ana.": ("Ana",),
    "WHY ARE YOU SHOUTING AT ME": (),
    "My Trip To The Moon And Back": (),
    "Ontem a Ana foi a Lisboa com o Rui da Silva": ("Ana", "Lisboa", "Rui da Silva"),
    "Hier soir j'ai vu Élodie à Besançon": ("Élodie", "Besançon"),
    'Saw "Finding Home." and "A Dance with Dragons", by J.K. Rowling; Great! 😀 Congrats, Will': (
        "Finding Home",
        "A Dance with Dragons",
        "J.K. Rowling",
        "Will",
    ),
    "The Lord of the Rings beats Game of Thrones, JUST SAYING": ("Lord of the Rings", "Game of Thrones"),
    "Learning German is fun. Bye Joanna! See you Fri": ("German", "Joanna"),
    "Ich habe einen Hund und wohne mit Anna Schmidt in der Stadt": ("Anna Schmidt",),
    "Я видел Марию в Москве, и Ивана Петрова": ("Марию", "Москве", "Ивана Петрова"),
    "我喜欢《三体》和北京": ("三体",),
    "私は東京に住んでいます。": (),
    "أعيش في القاهرة": (),
    "मैं दिल्ली में रहता हूँ": (),
    "👍🎉 so happy for Ana 😀": ("Ana",),
    "": (),
}


@pytest.mark.parametrize("text", NAMES)
def test_names_are_found_where_capitals_mean_them(text):
    """Not where a sentence begins, not in what is shouted, and none in scripts without capitals."""
    assert names(text) == NAMES[text]


def test_a_name_that_begins_a_sentence_counts_where_it_is_known():
    """From another place in what was said, or as a speaker's."""
    found = extract([turn("Melanie called. Then I called Ana"), turn("Ana is well", name="Melanie")])
    assert [one.entities for one in found.statements] == [("Melanie", "Ana"), ("Ana",)]
    assert only("Ana is well").entities == ()


def test_names_are_bounded():
    """P12: a megabyte is not looked through."""
    many = " and ".join(f"in Town{number}x" for number in range(1000))
    assert len(names(many)) == MOST_NAMES
    assert names("x " * LOOKED_AT + "in Porto") == ()
    assert len(only("Aa bB " * 200_000).text) == 1_200_000


@given(st.text(st.characters(), max_size=200))
def test_any_text_has_names_each_once(text):
    """Also halves of surrogate pairs and control characters."""
    found = names(text)
    assert len({name.casefold() for name in found}) == len(found)
    assert all(name.strip() for name in found)
    slot_of(text)


# -- slots

SLOTS = {
    "I live in Porto": ("lives in", "porto"),
    "i live in Porto, Portugal.": ("lives in", "porto, portugal"),
    "I live in New York now 😀": ("lives in", "new york"),
    "We currently live in The Hague.": ("lives in", "the hague"),
    "I live in 東京": ("lives in", "東京"),
    "I moved to Lisbon last month.": ("lives in", "lisbon"),
    "I\u2019ve moved to São Paulo!": ("lives in", "são paulo"),
    "I have just moved to Rio de Janeiro": ("lives in", "rio de janeiro"),
    "We moved from Porto to Lisbon two weeks ago": ("lives in", "lisbon"),
    "Last month I moved back to Ílhavo.": ("lives in", "ílhavo"),
    "By the way, I'm based in Berlin now.": ("lives in", "berlin"),
    "Hi! I live in Porto. Where should I eat?": ("lives in", "porto"),
    "Actually, I'm living in Москва": ("lives in", "москва"),
    "My new address is 5 Main St., Lisbon": ("address", "5 main st., lisbon"),
    "I work at Acme": ("works at", "acme"),
    "I work for Johnson & Johnson now": ("works at", "johnson & johnson"),
    "I just started a new job at Acme last week!": ("works at", "acme"),
    "I work as a school nurse": ("works as", "school nurse"),
    "My name is Ana Silva.": ("name", "ana silva"),
    "Hello there, I'm called Ana": ("name", "ana"),
    "Please call me Ana": ("goes by", "ana"),
    "My favourite colour is blue": ("favourite colour", "blue"),
    "my favorite color is now dark green": ("favourite colour", "dark green"),
    "My favourite board game is Catan!": ("favourite board game", "catan"),
    "I'm happily married to Rui": ("marital status", "married"),
    "I'm single": ("marital status", "single"),
    "We got engaged last weekend": ("marital status", "engaged"),
    "My birthday is on the 3rd of May": ("birthday", "3 may"),
    "I was born on May 3, 1990": ("birthday", "may 3 1990"),
    "I'm 34 years old": ("age", "34"),
    "I just turned 35 yesterday!": ("age", "35"),
    "My phone number is +351 912-345-678": ("phone number", "+351912345678"),
    "My work e-mail is a.b@c.org": ("work e-mail address", "a.b@c.org"),
    "My pronouns are they/them": ("pronouns", "they/them"),
    "My time zone is Europe/Lisbon": ("time zone", "europe/lisbon"),
    "Olá! Vivo no Porto.": ("lives in", "porto"),
    "Mudei-me para Lisboa": ("lives in", "lisboa"),
    "Chamo-me Ana Silva": ("name", "ana silva"),
    "Ahora vivo en Buenos Aires": ("lives in", "buenos aires"),
    "Me llamo Ana": ("name", "ana"),
    "J\u2019habite à Besançon": ("lives in", "besançon"),
    "Je m'appelle Élodie": ("name", "élodie"),
    "Ich bin nach Berlin gezogen!": ("lives in", "berlin"),
    "Ich heiße Anna Schmidt": ("name", "anna schmidt"),
    "Vivo a Roma": ("lives in", "roma"),
    "Mi chiamo Ugo": ("name", "ugo"),
}

NO_SLOTS = [
    # questions
    "Do I live in Porto?",
    "I live in Porto?",
    "I live in Porto, right?!",
    "Where do I live? Porto or Lisbon?",
    # denials
    "I don't live in Porto",
    "I no longer live in Porto",
    "I never lived in Porto",
    "I haven't moved to Lisbon",
    "I live nowhere near Porto",
    "My name is not Ana",
    "My favourite colour isn't blue",
    "My favourite colour is not blue",
    "I'm not married",
    "I'm not 34 years old",
    # wishes, plans, guesses
    "I wish I lived in Lisbon",
    "If I moved to Lisbon, I'd learn to surf",
    "I would live in Lisbon",
    "I want to live in Lisbon",
    "I might move to Lisbon",
    "I'm moving to Lisbon next month",
    "I'll be 35 in May",
    "I think I live in Porto",
    "Imagine I live in Porto",
    "Suppose my name is Ana",
    "I almost moved to Lisbon",
    # how it was
    "I used to live in Porto",
    "I lived in Porto",
    "When I lived in Porto I surfed",
    "I moved to Lisbon when I was six",
    "I moved to Lisbon ten years ago and then left",
    "I was married",
    "My favourite colour was blue",
    "My favourite colour used to be blue",
    # somebody else, or said by somebody else
    "Ana lives in Porto",
    "My sister lives in Porto",
    "My sister's name is Ana",
    '"I live in Porto," she said',
    "> I live in Porto",
    '"I live in Porto."',
    "Rui told me: I live in Porto",
    # something else
    "I live in fear",
    "I live in a small flat",
    "I live in the moment",
    "I live in my head",
    "i live in porto",
    "I moved to the couch",
    "I work at night",
    "I work for myself",
    "I work for a bank",
    "Call me tomorrow",
    "Call me Monday",
    "Call me if you can",
    "I'm 20 minutes late",
    "I'm 5",
    "I turned 180 degrees",
    "I'm single-handedly doing this",
    "My birthday is tomorrow",
    "My number is 7",
    "My favourite part is when he sings",
    "My favourite one is blue",
    "My favourite place is here",
    "I'm German",
    # more than one thing, which would expire with the first
    "I live in Porto and work at Acme",
    "My name is Ana and I live in Porto",
    "I live in Porto. My dog is called Rex.",
    "I live in Porto with my two cats",
    "I moved to Lisbon, where my daughter was born",
    "Hi, I'm Ana. I live in Porto.",
    "I live in Porto, not Lisbon",
    "I live in Porto or Lisbon",
    "My favourite colour is blue but I like red",
    # another language, nothing, too much
    "Vivia no Porto",
    "Não vivo no Porto",
    "No vivo en Madrid",
    "¿Vivo en Madrid?",
    "Vivo en paz",
    "Je n'habite pas à Paris",
    "J'habitais à Paris",
    "Ich lebe in Angst",
    "Ich bin nach Hause gezogen",
    "Vivevo a Roma",
    "Asun Helsingissä",
    "",
    "?!",
    "I live in Porto. " + "And so on. " * 50,
]


@pytest.mark.parametrize("text", SLOTS)
def test_a_plain_statement_has_a_slot(text):
    """P7: without a language model, for plain cases."""
    assert slot_of(text) == SLOTS[text]


@pytest.mark.parametrize("text", NO_SLOTS)
def test_what_is_not_plainly_so_has_no_slot(text):
    """P7: a memory that expires for nothing is worse than two that stay."""
    assert slot_of(text) is None


def test_slots_are_the_users_or_the_named_speakers():
    """P7: two people in one conversation live in two places; an assistant in none."""
    said = "I live in Porto."
    assert only(said).slot == "user|lives in"
    assert only(said, name="Ana Silva").slot == only(said, name="ANA  SILVA").slot == "ana silva|lives in"
    assert only(said, "assistant").slot is None
    assert only(said, "assistant", name="Ana").slot is None
    assert only(said, "tool").slot is None
    assert only(said).value == "porto"
    assert only(said).text == said


def test_a_move_supersedes_without_a_language_model():
    """P7, as the README shows it; a wish does not."""
    home = only("I live in Porto")
    known = [Existing("1", home.text, NOW, slot=home.slot, value=home.value)]
    found = extract([turn("I wish I lived in Faro"), turn("I moved to Lisbon last month.")]).statements
    wish, move = resolve(found, known, scope_key="s")
    assert (wish.event, move.event) == ("ADD", "SUPERSEDE")
    assert [replaced.id for replaced in move.replaces] == ["1"]
