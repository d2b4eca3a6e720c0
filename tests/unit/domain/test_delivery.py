from __future__ import annotations

from tests.support.builders import delivery_of


def test_first_header_of_a_name_is_given_and_none_where_there_is_none() -> None:
    delivery = delivery_of(headers=(("a", b"1"), ("b", b"2"), ("b", b"3"), ("c", None)))
    assert [delivery.header(name) for name in "abcd"] == [b"1", b"2", None, None]


def test_deliveries_of_one_record_have_one_name_and_those_of_another_have_another() -> None:
    once, other = delivery_of(offset=7, generation=1), delivery_of(offset=8, generation=1)
    again = delivery_of(offset=7, generation=2)
    assert once.record_id == again.record_id != other.record_id
