//! How sure a count of overrides makes us: exact binomial bounds, by addition, multiplication and division only.
//!
//! With whole numbers the incomplete beta function is a binomial tail, `I_p(k + 1, n - k) = P(Bin(n, p) > k)`, so no
//! approximation and no library of special functions is needed, and every machine computes the same bits (design I11).
//! The terms are summed from the largest one outwards and divided by their sum, so nothing underflows at a large `n`.

/// How small a term has to be, beside the largest, to count no more.
const NEGLIGIBLE: f64 = 1e-20;
/// Steps of a bisection: the last bit of a number between 0 and 1.
const HALVINGS: usize = 54;

/// The error that a one-sided bound of 95 % leaves.
pub const ONE_SIDED: f64 = 0.05;
/// What the two sides of a 95 % interval leave each.
const TWO_SIDED: f64 = 0.025;

/// `P(X <= k)` for `X ~ Bin(n, p)`.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts are far below 2^52")]
pub fn at_most(k: u64, n: u64, p: f64) -> f64 {
    if k >= n || p <= 0.0 {
        return 1.0;
    }
    if p >= 1.0 {
        return 0.0;
    }
    let odds = p / (1.0 - p);
    let mode = (((n + 1) as f64 * p) as u64).min(n);
    let (mut below, mut all) = (0.0, 0.0);
    let mut add = |i: u64, term: f64| {
        all += term;
        if i <= k {
            below += term;
        }
        term > NEGLIGIBLE
    };
    let (mut i, mut term) = (mode, 1.0);
    while add(i, term) && i < n {
        term *= (n - i) as f64 / (i + 1) as f64 * odds;
        i += 1;
    }
    (i, term) = (mode, 1.0);
    while i > 0 {
        term *= i as f64 / (n - i + 1) as f64 / odds;
        i -= 1;
        if !add(i, term) {
            break;
        }
    }
    below / all
}

/// The one-sided 95 % upper bound of a rate seen `k` times in `n` (Clopper-Pearson); 1 without data.
pub fn upper(k: u64, n: u64) -> f64 {
    upper_at(k, n, ONE_SIDED)
}

/// The 95 % interval of Clopper and Pearson; `None` without data: then nothing is known.
pub fn interval(k: u64, n: u64) -> Option<(f64, f64)> {
    (n > 0).then(|| (lower_at(k, n, TWO_SIDED), upper_at(k, n, TWO_SIDED)))
}

/// How probable it is that the rate is above `p`, when every rate was thought as likely before: `Beta(1, 1)`, so
/// `P(rate > p) = P(Bin(n + 1, p) <= k)`.
pub fn above(p: f64, k: u64, n: u64) -> f64 {
    at_most(k, n + 1, p)
}

/// How many observations with `k` overrides it takes for the one-sided 95 % upper bound to be below `limit`.
pub fn needed(k: u64, limit: f64) -> u64 {
    let mut most = k + 1;
    while at_most(k, most, limit) >= ONE_SIDED {
        most *= 2;
    }
    let mut least = most / 2;
    while most - least > 1 {
        let middle = u64::midpoint(least, most);
        if at_most(k, middle, limit) < ONE_SIDED { most = middle } else { least = middle }
    }
    most
}

fn upper_at(k: u64, n: u64, error: f64) -> f64 {
    if k >= n {
        return 1.0;
    }
    bisect(|p| at_most(k, n, p) > error)
}

fn lower_at(k: u64, n: u64, error: f64) -> f64 {
    if k == 0 {
        return 0.0;
    }
    bisect(|p| 1.0 - at_most(k - 1, n, p) < error)
}

/// The rate up to which this holds.
fn bisect(holds: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if holds(middle) { low = middle } else { high = middle }
    }
    high
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_labels_that_a_promotion_needs_are_those_of_the_table() {
        let table: [(f64, [u64; 5]); 4] = [
            (0.10, [29, 46, 61, 76, 103]),
            (0.05, [59, 93, 124, 153, 208]),
            (0.02, [149, 236, 313, 386, 523]),
            (0.01, [299, 473, 628, 773, 1049]),
        ];
        for (limit, row) in table {
            assert_eq!([0, 1, 2, 3, 5].map(|k| needed(k, limit)), row, "below {limit}");
            for (k, n) in [0, 1, 2, 3, 5].into_iter().zip(row) {
                assert!(upper(k, n) < limit && upper(k, n - 1) >= limit, "{k} of {n}");
            }
        }
    }

    #[test]
    fn the_overrides_that_demote_are_those_of_the_table() {
        for (n, k) in [(10, 2), (20, 2), (30, 3), (50, 5), (100, 8), (200, 14)] {
            assert!(above(0.05, k, n) > 0.9 && above(0.05, k - 1, n) <= 0.9, "{k} of {n}: {}", above(0.05, k, n));
        }
    }

    #[test]
    fn known_intervals_come_out() {
        // 1 - 0.025^(1/10), and Clopper and Pearson's own example of 8 in 25 as R's binom.test gives it.
        let close = |a: f64, b: f64| (a - b).abs() < 5e-8;
        let (low, high) = interval(0, 10).expect("data");
        assert!(low == 0.0 && close(high, 0.308_497_1), "{high}");
        let (low, high) = interval(10, 10).expect("data");
        assert!(close(low, 0.691_502_9) && high == 1.0, "{low}");
        let (low, high) = interval(8, 25).expect("data");
        assert!(close(low, 0.149_495_4) && close(high, 0.535_000_7), "{low} {high}");
        assert_eq!((interval(0, 0), upper(0, 0)), (None, 1.0));
        assert!(close(upper(0, 3), 0.631_596_9), "{}", upper(0, 3));
    }

    #[test]
    fn a_hundred_thousand_labels_neither_underflow_nor_take_long() {
        let (low, high) = interval(5_000, 100_000).expect("data");
        assert!(low > 0.0486 && low < 0.0487 && high > 0.0513 && high < 0.0514, "{low} {high}");
        assert!(above(0.05, 4_000, 100_000) < 1e-9 && above(0.05, 6_000, 100_000) > 1.0 - 1e-9);
    }

    proptest! {
        /// Against the sum as the textbook writes it, which a small `n` allows.
        #[test]
        fn the_tail_is_the_sum_of_its_terms(n in 1_u64..60, k in 0_u64..60, p in 0.001_f64..0.999) {
            let term = |i: u64| (0..i).fold(1.0, |c, j| c * (n - j) as f64 / (j + 1) as f64)
                * p.powi(i32::try_from(i).expect("small")) * (1.0 - p).powi(i32::try_from(n - i).expect("small"));
            let expected: f64 = (0..=k.min(n)).map(term).sum();
            prop_assert!((at_most(k, n, p) - expected).abs() < 1e-11);
        }

        #[test]
        fn a_bound_is_where_its_tail_is_and_more_overrides_never_lower_it(n in 1_u64..400, k in 0_u64..400) {
            let k = k.min(n);
            let (low, high) = interval(k, n).expect("data");
            prop_assert!(low <= k as f64 / n as f64 && k as f64 / n as f64 <= high);
            prop_assert!(k == n || (at_most(k, n, high) - TWO_SIDED).abs() < 1e-9);
            prop_assert!(k == n || upper(k + 1, n) >= upper(k, n) && above(0.05, k + 1, n) >= above(0.05, k, n));
            prop_assert!(upper(k, n + 1) <= upper(k, n));
        }
    }
}
