//! Bodies: a message in its frame, or something that is none.

use bytes::{BufMut, Bytes, BytesMut};
use fastrand::Rng;

/// Flag and length in front of every message.
pub const HEAD_BYTES: usize = 5;
/// The public listeners take no message that is longer.
const TOO_LONG: usize = 64 * 1024 + 1;

/// A body, and whether its sender finishes it.
#[derive(Clone, Debug)]
pub struct Frame {
    /// What is sent.
    pub bytes: Bytes,
    /// False: it stops in the middle, and the caller goes away.
    pub is_finished: bool,
}

/// The message as it should be sent.
#[must_use]
pub fn whole(message: &[u8]) -> Frame {
    framed(0, message.len(), message)
}

/// Something made of the message that is not a good call any more.
pub fn broken(rng: &mut Rng, message: &[u8]) -> Frame {
    let whole = whole(message);
    let cut = |bytes: &Bytes, at: usize| bytes.slice(..at.min(bytes.len()));
    match rng.u8(0..12) {
        // Fewer bytes than were promised, and no more will come.
        0 => Frame { bytes: cut(&whole.bytes, rng.usize(1..=whole.bytes.len().max(2) - 1)), ..whole },
        // The same, and the caller leaves.
        1 => Frame { bytes: cut(&whole.bytes, rng.usize(..=whole.bytes.len())), is_finished: false },
        2 => framed(0, message.len() + rng.usize(1..100_000), message),
        3 => framed(0, u32::MAX as usize, message),
        // Says that it is compressed.
        4 => framed(1, message.len(), message),
        5 => framed(rng.u8(2..), message.len(), message),
        6 => Frame { bytes: Bytes::new(), is_finished: true },
        // Two messages where one is expected.
        7 => Frame { bytes: [whole.bytes.clone(), whole.bytes].concat().into(), is_finished: true },
        8 => framed(0, TOO_LONG, &vec![b'x'; TOO_LONG]),
        // No frame at all.
        9 => Frame { bytes: noise(rng, 300).into(), is_finished: true },
        // A frame around noise, or around a message with a few bytes changed.
        10 => {
            let noise = noise(rng, 300);
            framed(0, noise.len(), &noise)
        }
        _ => {
            let mut flipped = message.to_vec();
            for _ in 0..rng.usize(1..4).min(flipped.len()) {
                let at = rng.usize(..flipped.len());
                flipped[at] = rng.u8(..);
            }
            framed(0, flipped.len(), &flipped)
        }
    }
}

/// Bytes that mean nothing.
pub fn noise(rng: &mut Rng, most: usize) -> Vec<u8> {
    (0..rng.usize(..most)).map(|_| rng.u8(..)).collect()
}

fn framed(flag: u8, promised: usize, message: &[u8]) -> Frame {
    let mut bytes = BytesMut::with_capacity(HEAD_BYTES + message.len());
    bytes.put_u8(flag);
    bytes.put_u32(u32::try_from(promised).unwrap_or(u32::MAX));
    bytes.put_slice(message);
    Frame { bytes: bytes.freeze(), is_finished: true }
}
