//! Seeded random numbers that do not depend on the order in which concurrent requests arrive.

use std::time::Duration;

use fastrand::Rng;

/// A generator for one purpose: the same seed, purpose and number give the same values.
pub(super) fn generator(seed: u64, purpose: &[&str], number: u64) -> Rng {
    // FNV-1a, then the finaliser of MurmurHash3: FNV alone leaves neighbouring ids too similar
    let purpose = purpose.iter().flat_map(|part| part.bytes().chain([0xff]));
    let bytes = seed.to_le_bytes().into_iter().chain(number.to_le_bytes()).chain(purpose);
    let mut hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    Rng::with_seed(hash ^ (hash >> 33))
}

/// A duration in a range that includes both ends; `min` if `max` is less.
pub(super) fn between(random: &mut Rng, min: Duration, max: Duration) -> Duration {
    min + max.saturating_sub(min).mul_f64(random.f64())
}

/// A text in the format of a UUID.
pub(super) fn uuid(random: &mut Rng) -> String {
    let (high, low) = (random.u64(..), random.u64(..));
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        0x8000 | ((low >> 48) & 0x3fff),
        low & 0xffff_ffff_ffff,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_purpose_gives_the_same_values_and_another_purpose_gives_others() {
        let uuid = |seed, purpose: &[&str], number| uuid(&mut generator(seed, purpose, number));
        let first = uuid(7, &["id", "DataEngine-a"], 0);
        assert_eq!(first, uuid(7, &["id", "DataEngine-a"], 0));
        for other in [
            uuid(8, &["id", "DataEngine-a"], 0),
            uuid(7, &["id", "DataEngine-b"], 0),
            uuid(7, &["idD", "ataEngine-a"], 0),
            uuid(7, &["id", "DataEngine-a"], 1),
        ] {
            assert_ne!(first, other);
        }
        assert_eq!(first.len(), 36);
    }

    #[test]
    fn a_random_duration_is_within_its_range() {
        let (min, max) = (Duration::from_secs(2), Duration::from_secs(4));
        for number in 0..1_000 {
            let duration = between(&mut generator(1, &["duration"], number), min, max);
            assert!((min..=max).contains(&duration), "{duration:?}");
        }
    }
}
