//! Random numbers for a mark, a salt and a pause. Nothing here guards a secret.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

/// Returns a number nobody can foresee: the hash of nothing with a key from the system.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

pub(super) fn random_bytes() -> [u8; 20] {
    let mut bytes = [0; 20];
    for chunk in bytes.chunks_mut(8) {
        for (byte, random) in chunk.iter_mut().zip(random().to_le_bytes()) {
            *byte = random;
        }
    }
    bytes
}

/// Returns a word that no start-up file prints by chance.
pub(in crate::node) fn random_word() -> String {
    format!("ringhaul-{:016x}{:016x}", random(), random())
}

/// Returns a pause between half of `middle` and one and a half of it, so that a fleet that was
/// turned away together does not come back together.
pub(in crate::node) fn about(middle: Duration) -> Duration {
    middle.mul_f64(0.5 + (random() % 1000) as f64 / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_differ_and_pauses_stay_near_the_middle() {
        assert_ne!(random_word(), random_word());
        assert_ne!(random_bytes(), random_bytes());
        for _ in 0..100 {
            let pause = about(Duration::from_secs(2));
            assert!((1.0..3.0).contains(&pause.as_secs_f64()), "{pause:?}");
        }
    }
}
