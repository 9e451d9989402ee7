"""A key gets what its grants say: so many requests at once, and so many pixels a minute on average."""

import pytest

from service.errors import QuotaExceeded
from service.keys.file import Grants
from service.keys.quota import Quota

FREE = Grants(max_requests=0)


def test_requests_at_once_are_limited_and_a_place_comes_back() -> None:
    quota, grants = Quota(now=0), Grants(max_requests=2)
    quota.begin(grants, now=0)
    quota.begin(grants, now=0)
    with pytest.raises(QuotaExceeded) as caught:
        quota.begin(grants, now=0)
    assert caught.value.members == {"limit": 2, "actual": 3}
    assert caught.value.retry_after_s == 1
    quota.end(grants, pixels=0, now=0)
    quota.begin(grants, now=0)


def test_without_limits_everything_goes() -> None:
    quota = Quota(now=0)
    for _ in range(1000):
        quota.begin(FREE, now=0)
    for _ in range(1000):
        quota.end(FREE, pixels=10**9, now=0)
    quota.begin(FREE, now=0)


def test_a_minutes_pixels_may_go_at_once_and_then_it_waits() -> None:
    quota, grants = Quota(now=0), Grants(pixels_per_minute=600)
    for _ in range(3):
        quota.begin(grants, now=0)
        quota.end(grants, pixels=200, now=0)
    with pytest.raises(QuotaExceeded) as caught:
        quota.begin(grants, now=0)
    assert caught.value.members == {"limit": 600, "actual": 600}
    quota.begin(grants, now=1)


def test_who_took_more_than_was_left_waits_until_the_debt_is_paid() -> None:
    quota, grants = Quota(now=0), Grants(pixels_per_minute=600)
    quota.begin(grants, now=0)
    quota.end(grants, pixels=900, now=0)
    with pytest.raises(QuotaExceeded) as caught:
        quota.begin(grants, now=10)  # 100 earned back of the 300 too many
    assert caught.value.retry_after_s == pytest.approx(20)
    with pytest.raises(QuotaExceeded):
        quota.begin(grants, now=29.9)
    quota.begin(grants, now=30.1)


def test_over_an_hour_nobody_gets_more_than_the_average_and_one_burst() -> None:
    quota, grants, taken = Quota(now=0), Grants(pixels_per_minute=6000), 0
    for second in range(3600):
        try:
            quota.begin(grants, now=second)
        except QuotaExceeded:
            continue
        quota.end(grants, pixels=1000, now=second)
        taken += 1000
    assert 6000 * 60 <= taken <= 6000 * 61 + 1000


def test_time_away_earns_no_more_than_a_minute() -> None:
    quota, grants = Quota(now=0), Grants(pixels_per_minute=600)
    for _ in range(3):
        quota.begin(grants, now=1e6)
        quota.end(grants, pixels=300, now=1e6)
        if _ == 1:
            break
    with pytest.raises(QuotaExceeded):
        quota.begin(grants, now=1e6)
