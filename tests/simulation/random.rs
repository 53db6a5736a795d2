//! Random values for a simulation; every stream follows from the seed.

use std::time::Duration;

use fastrand::Rng;

/// A separate stream for each purpose, so that disabling one fault does not change the others.
pub fn stream(seed: u64, purpose: u64) -> Rng {
    let mut random = Rng::with_seed(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (purpose << 56));
    // the first numbers of similar seeds are similar
    for _ in 0..4 {
        random.u64(..);
    }
    random
}

/// True with this probability.
pub fn chance(random: &mut Rng, probability: f64) -> bool {
    random.f64() < probability
}

/// A duration between two others, with equal probability for each order of magnitude.
pub fn between(random: &mut Rng, least: Duration, most: Duration) -> Duration {
    let (least, most) = (least.as_secs_f64().max(0.001), most.as_secs_f64().max(0.001));
    Duration::from_secs_f64((least.ln() + (most.ln() - least.ln()) * random.f64()).exp())
}

/// A uniformly distributed duration up to `most`.
pub fn up_to(random: &mut Rng, most: Duration) -> Duration {
    most.mul_f64(random.f64())
}

/// One of the choices.
pub fn one_of<T: Copy>(random: &mut Rng, choices: &[T]) -> T {
    choices[random.usize(..choices.len())]
}
