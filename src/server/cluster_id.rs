//! Cluster ids as Kafka makes them: 16 random bytes in URL-safe base64 without padding.

use std::io;

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// A new random id. It never begins with `-`, which command lines would take for a flag (as in Kafka's `Uuid`).
///
/// # Errors
/// When the kernel gives no random bytes.
pub fn random() -> io::Result<String> {
    loop {
        let mut bytes = [0u8; 16];
        fill_random(&mut bytes)?;
        // Version 4, as a UUID.
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        let id = encode(&bytes);
        if !id.starts_with('-') {
            return Ok(id);
        }
    }
}

/// A random number, for seeds.
///
/// # Errors
/// When the kernel gives no random bytes.
pub fn random_u64() -> io::Result<u64> {
    let mut bytes = [0u8; 8];
    fill_random(&mut bytes)?;
    Ok(u64::from_ne_bytes(bytes))
}

fn fill_random(bytes: &mut [u8]) -> io::Result<()> {
    // SAFETY: the pointer and length are those of the slice. Up to 256 bytes come whole.
    let got = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    if got == bytes.len() as isize {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

fn encode(bytes: &[u8; 16]) -> String {
    let mut text = String::with_capacity(22);
    for group in bytes.chunks(3) {
        let mut word = 0u32;
        for (at, byte) in group.iter().enumerate() {
            word |= u32::from(*byte) << (16 - 8 * at);
        }
        for at in 0..=group.len() {
            text.push(LETTERS[(word >> (18 - 6 * at)) as usize & 63] as char);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_look_like_kafkas_and_differ() {
        assert_eq!(encode(&[0xff; 16]), "_____________________w");
        assert_eq!(encode(&[0; 16]), "AAAAAAAAAAAAAAAAAAAAAA");
        let (one, two) = (random().unwrap(), random().unwrap());
        assert_eq!(one.len(), 22);
        assert_ne!(one, two);
    }
}
