"""The clock after a jump: believed only as far as it went on by itself, until somebody vouches for it."""

import pytest

from signer.clock.believed import JUMP_SECONDS, BelievedClock, seconds_since_start

BEGIN = 1_700_000_000.0


class Machine:
    """A wall clock that can be set, and the time since start, which cannot."""

    def __init__(self) -> None:
        self.wall = BEGIN
        self.elapsed = 5.0
        self.clock = BelievedClock(wall=lambda: self.wall, elapsed=lambda: self.elapsed)

    def pass_by(self, seconds: float, *, jump: float = 0.0) -> None:
        """Time goes by, and the wall clock is set ahead by `jump` besides."""
        self.elapsed += seconds
        self.wall += seconds + jump


@pytest.fixture
def machine() -> Machine:
    return Machine()


def test_a_clock_that_goes_on_is_believed(machine: Machine) -> None:
    for _ in range(100):
        machine.pass_by(2.0, jump=0.1)  # a time service that slews
        assert machine.clock.look() == 0.0
        assert machine.clock.now() == machine.wall


@pytest.mark.parametrize("jump", [2.0, 3_600.0, 86_400.0 * 365])
def test_a_jump_ahead_is_not_believed_even_before_anybody_looked(machine: Machine, jump: float) -> None:
    machine.pass_by(1.0, jump=jump)
    assert machine.clock.now() == pytest.approx(BEGIN + 1.0)
    assert machine.clock.look() == pytest.approx(jump)
    machine.pass_by(600.0)
    assert machine.clock.now() == pytest.approx(BEGIN + 601.0), "it goes on from where it stood"
    assert machine.clock.look() == pytest.approx(jump), "and does not get used to it"


def test_a_jump_back_is_believed_because_it_refuses_more(machine: Machine) -> None:
    machine.pass_by(1.0, jump=-7_200.0)
    assert machine.clock.look() == pytest.approx(-7_200.0)
    assert machine.clock.now() == machine.wall


def test_a_jump_that_is_taken_back_ends_by_itself(machine: Machine) -> None:
    machine.pass_by(1.0, jump=50.0)
    assert machine.clock.look() == pytest.approx(50.0)
    machine.pass_by(1.0, jump=-50.0)
    assert machine.clock.look() == pytest.approx(0.0, abs=1e-6)
    assert machine.clock.now() == machine.wall


def test_an_accepted_jump_is_the_time_from_then_on(machine: Machine) -> None:
    machine.pass_by(1.0, jump=50.0)
    machine.clock.accept()
    assert machine.clock.look() == 0.0
    assert machine.clock.now() == machine.wall


def test_several_small_steps_between_two_looks_are_a_jump(machine: Machine) -> None:
    for _ in range(3):
        machine.pass_by(0.1, jump=0.9 * JUMP_SECONDS)
    assert machine.clock.look() == pytest.approx(2.7 * JUMP_SECONDS)
    assert machine.clock.now() == pytest.approx(BEGIN + 0.3)


def test_the_time_since_start_goes_on(machine: Machine) -> None:
    first = seconds_since_start()
    assert 0 < first <= seconds_since_start()
