//! Seeded chance: the same seed and the same question give the same answer, in whatever order they are asked.

use std::time::Duration;

use fastrand::Rng;

/// A source of chance of its own for each question, so that concurrent calls do not change each other's luck.
pub(super) fn dice(seed: u64, question: &[&str], nth: u64) -> Rng {
    // FNV-1a, then the finaliser of MurmurHash3: FNV alone leaves neighbouring ids too alike
    let words = question.iter().flat_map(|word| word.bytes().chain([0xff]));
    let hash = seed.to_le_bytes().into_iter().chain(nth.to_le_bytes()).chain(words);
    let mut hash = hash.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    Rng::with_seed(hash ^ (hash >> 33))
}

/// A length between the two, both possible; `least` where they are the wrong way round.
pub(super) fn between(dice: &mut Rng, least: Duration, most: Duration) -> Duration {
    least + most.saturating_sub(least).mul_f64(dice.f64())
}

/// Text in the shape of a UUID.
pub(super) fn uuid(dice: &mut Rng) -> String {
    let (high, low) = (dice.u64(..), dice.u64(..));
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
    fn the_same_question_has_the_same_answer_and_another_has_another() {
        let ask = |seed, words: &[&str], nth| uuid(&mut dice(seed, words, nth));
        let first = ask(7, &["id", "DataEngine-a"], 0);
        assert_eq!(first, ask(7, &["id", "DataEngine-a"], 0));
        for other in [
            ask(8, &["id", "DataEngine-a"], 0),
            ask(7, &["id", "DataEngine-b"], 0),
            ask(7, &["idD", "ataEngine-a"], 0),
            ask(7, &["id", "DataEngine-a"], 1),
        ] {
            assert_ne!(first, other);
        }
        assert_eq!(first.len(), 36);
    }

    #[test]
    fn lengths_stay_between_their_ends() {
        let (least, most) = (Duration::from_secs(2), Duration::from_secs(4));
        for nth in 0..1_000 {
            let length = between(&mut dice(1, &["length"], nth), least, most);
            assert!((least..=most).contains(&length), "{length:?}");
        }
    }
}
