"""Days that a text names."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.pipelines.dates import MOST_SPANS, Span, dates

WEDNESDAY = date(2024, 5, 15)


def days(text, moment=WEDNESDAY, **more):
    return [(str(span.first), str(span.last)) for span in dates(text, moment, **more)]


@pytest.mark.parametrize(
    "text",
    ["9 March 2021", "on the 9th of March, 2021", "March 9, 2021", "Mar. 9th 2021", "2021-03-09", "MARCH 9 2021"],
)
def test_a_day_can_be_written_in_many_ways(text):
    """And means one day."""
    assert days(f"We moved here {text}, I think.") == [("2021-03-09", "2021-03-09")]


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("in March 2021", "2021-03-01", "2021-03-31"),
        ("2021-12", "2021-12-01", "2021-12-31"),
        ("since 2019", "2019-01-01", "2019-12-31"),
        ("in June", "2023-06-01", "2023-06-30"),
        ("in May", "2024-05-01", "2024-05-31"),
        ("29 February", "2024-02-29", "2024-02-29"),
        ("yesterday", "2024-05-14", "2024-05-14"),
        ("The day before yesterday", "2024-05-13", "2024-05-13"),
        ("the day after tomorrow", "2024-05-17", "2024-05-17"),
        ("last night", "2024-05-14", "2024-05-14"),
        ("last Friday", "2024-05-10", "2024-05-10"),
        ("last Wednesday", "2024-05-08", "2024-05-08"),
        ("next Wednesday", "2024-05-22", "2024-05-22"),
        ("this Friday", "2024-05-17", "2024-05-17"),
        ("on Monday", "2024-05-13", "2024-05-13"),
        ("last week", "2024-05-06", "2024-05-12"),
        ("next month", "2024-06-01", "2024-06-30"),
        ("last weekend", "2024-05-10", "2024-05-12"),
        ("last year", "2023-01-01", "2023-12-31"),
        ("last December", "2023-12-01", "2023-12-31"),
        ("next January", "2025-01-01", "2025-01-31"),
        ("3 days ago", "2024-05-12", "2024-05-12"),
        ("two weeks ago", "2024-04-28", "2024-05-04"),
        ("a couple of days ago", "2024-05-12", "2024-05-14"),
        ("five months ago", "2023-12-01", "2023-12-31"),
        ("ten years ago", "2014-01-01", "2014-12-31"),
        ("in two weeks", "2024-05-26", "2024-06-01"),
    ],
)
def test_days_are_counted_from_when_it_was_said(text, first, last):
    """Relative dates, and months without a year."""
    assert days(f"{text} I saw a heron.") == [(first, last)]


@pytest.mark.parametrize(
    "text",
    [
        "You may ask; they march on. She may 5 times.",
        "30 February 2021",
        "2000 people came",
        "version 1.2024-05-01",
        "build-2024-05-01-rc1",
        "an hour ago",
        "5/7/2023",
        "everyday birthday holiday",
        "31 September",
        "seconds",
        "",
    ],
)
def test_what_is_no_date_is_passed_over(text):
    """Or could be many things."""
    assert days(text) == []


def test_several_are_told_in_their_order_and_each_once():
    """As many as anybody wants to compare."""
    assert days("Yesterday and 2024-05-14, then last week.") == [
        ("2024-05-14", "2024-05-14"),
        ("2024-05-06", "2024-05-12"),
    ]
    assert len(dates(" ".join(f"{day} May 2020" for day in range(1, 29)), WEDNESDAY)) == MOST_SPANS


def test_a_month_without_a_year_may_be_of_any_of_the_last_years():
    """A question asked later than the year that it is about."""
    assert days("in June", years=2) == [("2023-06-01", "2023-06-30"), ("2022-06-01", "2022-06-30")]
    assert days("in June 2020", years=2) == [("2020-06-01", "2020-06-30")]
    assert days("last week", years=2) == [("2024-05-06", "2024-05-12")]


def test_the_first_and_the_last_year_there_are():
    """Nothing before year 1, nothing after year 9999."""
    assert dates("last year, yesterday, a few years ago, in June", date(1, 1, 1)) == ()
    assert dates("next year, tomorrow, in 999 years, next month", date(9999, 12, 31)) == ()


def test_spans_meet_where_they_share_a_day_or_nearly():
    """Both ways round."""
    may, june = (Span(date(2024, month, 1), date(2024, month, 28)) for month in (5, 6))
    assert not may.meets(june)
    assert not june.meets(may)
    assert may.meets(june, slack=4)
    assert may.meets(Span(WEDNESDAY, WEDNESDAY))


@given(st.text(max_size=300), st.datetimes())
def test_no_text_makes_it_fail(text, moment):
    """Whatever it is, and whenever it was said."""
    for span in dates(text, moment, years=3):
        assert span.first <= span.last


@given(
    st.lists(
        st.sampled_from("last next in 9 May 31 2024 a few days ago weeks Friday June of yesterday-2024-02".split())
    ),
    st.dates(),
)
def test_no_words_of_dates_make_it_fail(words, moment):
    """In any order."""
    for span in dates(" ".join(words), moment):
        assert span.first <= span.last


@given(st.dates(date(1900, 1, 1), date(2099, 12, 31)), st.dates())
def test_a_written_date_is_that_date(day, moment):
    """Whenever it was said."""
    for form in (f"{day:%Y-%m-%d}", f"{day.day} {day:%B} {day.year}", f"{day:%B} {day.day}, {day.year}"):
        assert dates(f"On {form}.", moment) == (Span(day, day),)


@given(st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31), timezones=st.just(UTC)))  # noqa: DTZ001
def test_yesterday_is_the_day_before(moment):
    """Of a moment with a zone as of a day."""
    before = moment.date() - timedelta(days=1)
    assert dates("yesterday", moment) == (Span(before, before),) == dates("yesterday", moment.date())
