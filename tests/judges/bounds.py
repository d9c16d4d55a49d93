#!/usr/bin/env python3
"""Makes `bounds.jsonl`, against which `stories/learning.rs` holds the product's own bounds: with SciPy, whose incomplete
beta function shares nothing with the product's sums.

    pip install scipy && python3 tests/judges/bounds.py > tests/judges/bounds.jsonl

Each line: k overrides of n; the two sides of the 95 % interval of Clopper and Pearson, the one-sided 95 % upper bound,
and the probability that the rate is above 5 % when every rate was thought as likely before.
"""

import json

from scipy.stats import beta

for n in (1, 2, 3, 5, 10, 17, 29, 41, 59, 93, 149, 208, 500, 1049, 5000, 40000):
    for k in sorted({0, 1, 2, 3, n // 50, n // 20, n // 10, n // 2, n - 1, n}):
        if 0 <= k <= n:
            low = 0.0 if k == 0 else float(beta.ppf(0.025, k, n - k + 1))
            high = 1.0 if k == n else float(beta.ppf(0.975, k + 1, n - k))
            upper = 1.0 if k == n else float(beta.ppf(0.95, k + 1, n - k))
            above = float(beta.sf(0.05, k + 1, n - k + 1))
            print(json.dumps({"k": k, "n": n, "low": low, "high": high, "upper": upper, "above": above}))
