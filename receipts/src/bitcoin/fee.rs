//! What an anchor pays, and when it pays more.
//!
//! Rates are in satoshi for a thousand virtual bytes, as nodes reckon them.
//!
//! **Invariant:** never more than the most that the person said.

/// The least that nodes relay.
pub const LEAST_RATE: u64 = 1_000;
/// After how many blocks without it a transaction pays more.
pub const PATIENCE_BLOCKS: u64 = 3;

/// What a transaction of this size pays, in satoshi.
pub fn fee(rate: u64, virtual_size: u64) -> u64 {
    u64::try_from((u128::from(rate) * u128::from(virtual_size)).div_ceil(1_000)).unwrap_or(u64::MAX)
}

/// The first rate, by what the node estimates where it does.
pub fn first_rate(estimate: Option<u64>, most: u64) -> u64 {
    estimate.unwrap_or(LEAST_RATE).max(LEAST_RATE).min(most)
}

/// The rate after `rate`; none where no more may be paid, or so little more that nodes would not take it in its place.
pub fn raised(rate: u64, estimate: Option<u64>, most: u64) -> Option<u64> {
    // A replacement pays for its own relaying on top.
    let least = rate.saturating_add(LEAST_RATE);
    let wanted = rate.saturating_add(rate / 2).max(estimate.unwrap_or(0)).max(least).min(most);
    (wanted >= least).then_some(wanted)
}

#[cfg(test)]
mod tests {
    use super::{fee, first_rate, raised};

    #[test]
    fn a_fee_covers_its_size_and_no_rate_passes_the_most() {
        assert_eq!((fee(1_000, 191), fee(1_001, 191), fee(0, 191)), (191, 192, 0));
        assert_eq!(fee(u64::MAX, u64::MAX), u64::MAX);
        assert_eq!((first_rate(None, 9_000), first_rate(Some(1), 9_000)), (1_000, 1_000));
        assert_eq!((first_rate(Some(4_500), 9_000), first_rate(Some(90_000), 9_000)), (4_500, 9_000));
        let steps: Vec<u64> = std::iter::successors(Some(1_000), |rate| raised(*rate, None, 9_000)).take(9).collect();
        assert_eq!(steps, [1_000, 2_000, 3_000, 4_500, 6_750, 9_000]);
        assert_eq!(raised(1_000, Some(7_000), 9_000), Some(7_000));
        assert_eq!(raised(8_500, Some(90_000), 9_000), None, "too little more to be taken");
        assert_eq!(raised(u64::MAX, None, u64::MAX), Some(u64::MAX));
    }
}
