"""Which failures are worth another attempt, after how long, and how many a client may make."""

import pickle

import pytest

from srserve_client import (
    ConnectionFailed,
    DeadlineExpired,
    NotModified,
    RetryBudget,
    RetryPolicy,
    SrserveError,
    UnexpectedAnswer,
)
from srserve_client.problems import PROBLEMS, Overloaded
from srserve_client.retries import is_retryable


@pytest.mark.parametrize(("attempts", "longest"), [(1, 0.5), (2, 1.0), (3, 2.0), (5, 8.0), (9, 8.0)])
def test_pauses_double_up_to_a_limit_and_differ_between_clients(attempts: int, longest: float) -> None:
    policy = RetryPolicy(max_retries=10)
    error = ConnectionFailed("gone")
    assert policy.pause_s(error, attempts=attempts, draw=lambda: 0.0) == longest / 2
    assert policy.pause_s(error, attempts=attempts, draw=lambda: 0.5) == longest * 0.75


def test_retry_after_is_never_undercut() -> None:
    policy = RetryPolicy()
    full = Overloaded("full", retry_after_s=7)
    assert policy.pause_s(full, attempts=1, draw=lambda: 0.0) == 7
    assert policy.pause_s(full, attempts=1, draw=lambda: 0.5) == pytest.approx(7.35)


def test_attempts_are_counted() -> None:
    policy = RetryPolicy(max_retries=2)
    pauses = [policy.pause_s(ConnectionFailed("gone"), attempts=attempts) is not None for attempts in (1, 2, 3)]
    assert pauses == [True, True, False]


@pytest.mark.parametrize("code", sorted(PROBLEMS))
def test_the_service_says_which_of_its_problems_may_pass(code: str) -> None:
    kind = PROBLEMS[code]
    assert is_retryable(kind("detail")) is kind.retryable


@pytest.mark.parametrize("error", [DeadlineExpired("late"), NotModified('"x"'), UnexpectedAnswer("", status=404)])
def test_what_cannot_pass_is_not_retried(error: SrserveError) -> None:
    assert not is_retryable(error)


def test_a_policy_of_negative_retries_is_refused() -> None:
    with pytest.raises(ValueError, match="-1"):
        RetryPolicy(max_retries=-1)


def test_a_budget_starts_full_is_spent_and_earned_back() -> None:
    budget = RetryBudget(share=0.25, reserve=2)
    assert [budget.spend() for _ in range(3)] == [True, True, False]
    for _ in range(3):
        budget.earn()
    assert not budget.spend()
    budget.earn()
    assert budget.spend()
    for _ in range(100):
        budget.earn()
    assert [budget.spend() for _ in range(3)] == [True, True, False]


@pytest.mark.parametrize(
    "error",
    [
        Overloaded("full", members={"limit": 3, "actual": 4}, retry_after_s=2),
        ConnectionFailed("gone", sent_nothing=True),
        UnexpectedAnswer("html", status=502),
        NotModified('"x"'),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_survive_the_way_between_processes(error: SrserveError) -> None:
    error.request_id = "r"
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert (str(again), vars(again)) == (str(error), vars(error))
