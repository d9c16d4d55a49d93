//! Benchmarks, each beside a reference measured in the same run; prints medians and the ratio.

fn main() {}
