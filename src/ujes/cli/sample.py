"""Sample data for `ujes demo`: the sales of a small shop, the same on every machine."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import date, timedelta

ROWS = 20_000
_FIRST_DAY = date(2025, 1, 1)
_DAYS = 365
_CITIES = ("Berlin", "Lyon", "Osaka", "Porto", "Shenzhen", "Toronto")
#: name, price in cents
_PRODUCTS = (
    ("coffee", 1290),
    ("tea", 890),
    ("cups", 2450),
    ("kettle", 5900),
    ("honey", 740),
    ("filter", 450),
)


def sales_csv() -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("day", "city", "product", "pieces", "amount"))
    writer.writerows(_sales())
    return text.getvalue()


def _sales() -> Iterator[tuple[date, str, str, int, str]]:
    state = 20250101
    for _ in range(ROWS):
        # A linear congruential generator: random enough, and equal everywhere.
        state = (state * 1103515245 + 12345) % 2**31
        dice = state >> 8
        city = _CITIES[min(dice % 11, dice % 6)]
        product, cents = _PRODUCTS[min(dice // 7 % 9, dice // 7 % len(_PRODUCTS))]
        pieces = 1 + dice // 53 % 5
        yield (
            _FIRST_DAY + timedelta(days=dice // 3 % _DAYS),
            city,
            product,
            pieces,
            f"{cents * pieces / 100:.2f}",
        )
