"""Guessing PINs is slow for one address, slow for all together, and harmless to others."""

from agent.web.auth import PinGuard

PIN = "482913"
HOME, ELSEWHERE = "192.168.1.20", "192.168.1.77"


def guess(guard: PinGuard, given: str, now_s: float, address: str = HOME) -> bool:
    return guard.is_right(given, PIN, address=address, now_s=now_s)


def test_the_right_pin_is_right_and_a_slip_of_the_finger_costs_nothing() -> None:
    guard = PinGuard()

    assert not guess(guard, "482931", 0)
    assert not guess(guard, "", 0)
    assert guard.wait_s(HOME, now_s=0) == 0
    assert guess(guard, PIN, 0)


def test_every_further_wrong_pin_doubles_the_wait_of_its_address() -> None:
    guard, now_s, waits = PinGuard(), 0.0, []
    for _ in range(8):
        guess(guard, "000000", now_s)
        waits.append(guard.wait_s(HOME, now_s=now_s))
        now_s += waits[-1]

    assert waits == [0, 0, 5, 10, 20, 40, 80, 160]
    assert not guess(guard, PIN, now_s - 1), "the right one is not even looked at meanwhile"
    assert guess(guard, PIN, now_s)


def test_one_address_does_not_lock_another() -> None:
    guard = PinGuard()
    for _ in range(5):
        guess(guard, "000000", 0)

    assert guess(guard, PIN, 0, ELSEWHERE)


def test_ten_thousand_guesses_from_as_many_addresses_are_mostly_not_looked_at() -> None:
    guard, looked_at = PinGuard(), 0
    for number in range(10_000):
        address = f"10.0.{number // 256}.{number % 256}"
        looked_at += guard.wait_s(address, now_s=number * 0.36) == 0  # within an hour
        guess(guard, f"{number:06d}", number * 0.36, address)

    assert looked_at <= 61
    assert len(guard._addresses) <= 61


def test_addresses_of_one_ipv6_network_count_as_one() -> None:
    guard = PinGuard()
    for number in range(3):
        guess(guard, "000000", 0, f"fe80::{number}")

    assert guard.wait_s("fe80::ffff", now_s=0) == 5
    assert guard.wait_s("fe80:1::1", now_s=0) == 0


def test_a_clock_that_stands_still_or_runs_back_opens_nothing() -> None:
    guard = PinGuard()
    for _ in range(3):
        guess(guard, "000000", 100)

    assert guard.wait_s(HOME, now_s=50) >= 5
