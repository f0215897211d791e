//! The W3C trace context, version 00, as it travels in metadata and is kept in rows.

use std::fmt;

/// `00-{trace}-{span}-{flags}`.
const LENGTH: usize = 55;
/// The flag of a trace that is recorded.
const SAMPLED: u8 = 1;
const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// A W3C trace context, version 00.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceParent {
    pub(super) trace: u128,
    pub(super) span: u64,
    pub(super) flags: u8,
}

impl TraceParent {
    /// Reads `00-{trace}-{span}-{flags}`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let lengths = [version.len(), trace.len(), span.len(), flags.len()];
        let digits = |byte: u8| byte == b'-' || byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if version != "00" || parts.next().is_some() || lengths != [2, 32, 16, 2] || !text.bytes().all(digits)
        {
            return None;
        }
        let parent = Self {
            trace: u128::from_str_radix(trace, 16).ok()?,
            span: u64::from_str_radix(span, 16).ok()?,
            flags: u8::from_str_radix(flags, 16).ok()?,
        };
        (parent.trace != 0 && parent.span != 0).then_some(parent)
    }

    /// The beginning of a new trace that nobody records, unless it is [sampled](Self::sampled).
    #[must_use]
    pub fn random() -> Self {
        Self { trace: fastrand::u128(1..), span: fastrand::u64(1..), flags: 0 }
    }

    /// Another span of the same trace.
    #[must_use]
    pub fn child(self) -> Self {
        Self { span: fastrand::u64(1..), ..self }
    }

    /// Whether the trace is recorded.
    #[must_use]
    pub fn is_sampled(self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// The same, to be recorded or not.
    #[must_use]
    pub fn sampled(self, is_sampled: bool) -> Self {
        Self { flags: if is_sampled { self.flags | SAMPLED } else { self.flags & !SAMPLED }, ..self }
    }

    /// The trace's id, 32 hexadecimal digits.
    #[must_use]
    pub fn trace_id(self) -> String {
        format!("{:032x}", self.trace)
    }

    /// The span's id, 16 hexadecimal digits.
    #[must_use]
    pub fn span_id(self) -> String {
        format!("{:016x}", self.span)
    }

    /// As it travels.
    #[must_use]
    pub(super) fn bytes(self) -> [u8; LENGTH] {
        let mut bytes = [b'-'; LENGTH];
        hex(&mut bytes[0..2], 0);
        hex(&mut bytes[3..35], self.trace);
        hex(&mut bytes[36..52], self.span.into());
        hex(&mut bytes[53..55], self.flags.into());
        bytes
    }
}

/// Formatting by the standard library costs several times as much, and every call carries one.
fn hex(into: &mut [u8], mut number: u128) {
    for digit in into.iter_mut().rev() {
        *digit = DIGITS[(number & 0xf) as usize];
        number >>= 4;
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.bytes()).map_err(|_| fmt::Error)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_survives_and_nonsense_does_not() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let parent = TraceParent::parse(good).unwrap();
        assert_eq!(parent.to_string(), good);
        assert_eq!(parent.child().trace_id(), "0af7651916cd43dd8448eb211c80319c");
        assert!(parent.is_sampled() && !parent.sampled(false).is_sampled());
        for bad in [
            "",
            "00",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
            "00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert_eq!(TraceParent::parse(bad), None, "{bad}");
        }
    }
}
