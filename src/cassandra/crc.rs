//! zlib's CRC-32, which Cassandra writes into `Digest.crc32`, out of the one that `cksum` prints.
//!
//! Both divide by the same polynomial. zlib takes the bits of each byte lowest first; so `cksum`
//! is fed bytes whose bits are reversed (`tr` does that), and what is left is algebra: `cksum`
//! starts from zero and goes on over the length, zlib starts from all ones.

/// The polynomial of both, highest bit first.
const POLYNOMIAL: u32 = 0x04c1_1db7;

/// Returns the CRC-32 of `length` bytes, given what `cksum` prints for the same bytes with the
/// bits of each reversed.
pub fn crc32_of(cksum_of_reversed: u32, length: u64) -> u32 {
    let mut crc = !cksum_of_reversed;
    // cksum goes over the length's bytes, the lowest first, as many as it needs.
    let used = length.to_le_bytes().len() - length.leading_zeros() as usize / 8;
    for byte in length.to_le_bytes()[..used].iter().rev() {
        crc = without(crc, *byte);
    }
    let of_first_value = times(u32::MAX, shift_by_bytes(length));
    !(crc ^ of_first_value).reverse_bits()
}

/// Undoes the step that took `byte` in.
fn without(mut crc: u32, byte: u8) -> u32 {
    for _ in 0..8 {
        // The polynomial's lowest bit is set, so the lowest bit tells whether it was added.
        crc = if crc & 1 == 1 { ((crc ^ POLYNOMIAL) >> 1) | (1 << 31) } else { crc >> 1 };
    }
    crc ^ (u32::from(byte) << 24)
}

/// x to the power of eight times `count`, by squaring.
fn shift_by_bytes(mut count: u64) -> u32 {
    let mut power = 1;
    let mut square = 1 << 8;
    while count > 0 {
        if count & 1 == 1 {
            power = times(power, square);
        }
        square = times(square, square);
        count >>= 1;
    }
    power
}

/// The product of two polynomials, modulo ours.
fn times(a: u32, b: u32) -> u32 {
    let mut product = 0;
    for bit in (0..32).rev() {
        product = (product << 1) ^ if product >> 31 == 1 { POLYNOMIAL } else { 0 };
        if (b >> bit) & 1 == 1 {
            product ^= a;
        }
    }
    product
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What POSIX says `cksum` does, bit by bit.
    fn cksum(bytes: impl Iterator<Item = u8>, length: u64) -> u32 {
        let step = |mut crc: u32, byte: u8| {
            crc ^= u32::from(byte) << 24;
            for _ in 0..8 {
                crc = (crc << 1) ^ if crc >> 31 == 1 { POLYNOMIAL } else { 0 };
            }
            crc
        };
        let mut crc = bytes.fold(0, step);
        let mut rest = length;
        while rest > 0 {
            crc = step(crc, rest.to_le_bytes()[0]);
            rest >>= 8;
        }
        !crc
    }

    proptest! {
        #[test]
        fn it_is_the_crc_that_others_compute(bytes: Vec<u8>) {
            let length = bytes.len() as u64;
            let reversed = bytes.iter().map(|byte| byte.reverse_bits());
            prop_assert_eq!(crc32_of(cksum(reversed, length), length), crc32fast::hash(&bytes));
        }

        #[test]
        fn lengths_beyond_memory_are_right_by_combination(
            head: Vec<u8>, tail: Vec<u8>, zeros in 0_u64..1 << 50,
        ) {
            // head, very many zero bytes, tail: crc32fast combines them by its own algebra.
            let mut zero_run = crc32fast::Hasher::new();
            let mut block = crc32fast::Hasher::new();
            block.update(&[0]);
            let mut rest = zeros;
            while rest > 0 {
                if rest & 1 == 1 {
                    zero_run.combine(&block);
                }
                block.combine(&block.clone());
                rest >>= 1;
            }
            let mut all = crc32fast::Hasher::new();
            all.update(&head);
            all.combine(&zero_run);
            let mut end = crc32fast::Hasher::new();
            end.update(&tail);
            all.combine(&end);

            // The same for cksum's register: zeros multiply it by a power of x.
            let length = head.len() as u64 + zeros + tail.len() as u64;
            let bit = |bytes: &[u8], from: u32| bytes.iter().fold(from, |crc, byte| {
                times(crc, 1 << 8) ^ times(u32::from(byte.reverse_bits()), POLYNOMIAL)
            });
            let mut register = bit(&tail, times(bit(&head, 0), shift_by_bytes(zeros)));
            let mut left = length;
            while left > 0 {
                let byte = left.to_le_bytes()[0];
                register = times(register, 1 << 8) ^ times(u32::from(byte), POLYNOMIAL);
                left >>= 8;
            }
            prop_assert_eq!(crc32_of(!register, length), all.finalize());
        }
    }
}
