//! Draws messages: values that could be meant, values at their bounds, and values that cannot be.
//!
//! A message is drawn field by field from its descriptor, with what the field's name suggests. One in a few fields is
//! off, so most messages are wrong in one or two places and get far before somebody notices.

use fastrand::Rng;
use prost_reflect::{
    DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage, Value,
};
use uuid::Uuid;

/// Messages in messages in messages.
const DEPTH_MAX: u32 = 5;
/// So many of a hundred fields are left out.
const ABSENT_PERCENT: u8 = 8;
/// Longer than any text may be, and shorter than a message may be.
const LONG_TEXT: usize = 5_000;
const MANY: usize = 600;

/// Amounts that are fine, somewhere.
const AMOUNTS: &[&str] = &["1", "2", "10", "100", "8.00", "0.01", "100.5", "1000", "0.0001", "3"];
/// Amounts at their bounds and beyond.
const STRANGE_AMOUNTS: &[&str] = &[
    "",
    "0",
    "-1",
    "+1",
    "1.",
    ".5",
    "1e9",
    "NaN",
    "Infinity",
    "0x10",
    "1,5",
    " 1",
    "1 ",
    "00001",
    "-0",
    "0.00000001",
    "0.000000001",
    "999999999999999999.99999999",
    "1000000000000000000",
    "99999999999999999999999999999999999999999999999999999999999999",
    "٣",
    "１",
];
const STRANGE_TEXTS: &[&str] = &[
    "",
    " ",
    "\0",
    "a\0b",
    "\u{feff}",
    "\u{202e}evil",
    "🦀",
    "'; DROP TABLE orders; --",
    "../../etc/passwd",
    "%s%n",
    "\r\n\r\n",
    "null",
    "{}",
    "\u{7f}\u{1b}[2J",
    "İ",
];

/// What is there, so that some messages are about it.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Customers.
    pub customers: Vec<String>,
    /// Assets.
    pub assets: Vec<String>,
    /// Instruments.
    pub symbols: Vec<String>,
    /// Orders, holds and create sagas share their ids.
    pub orders: Vec<String>,
    /// Request ids that were used before.
    pub request_ids: Vec<String>,
}

/// Draws messages.
#[derive(Debug)]
pub struct Source<'a> {
    /// The only randomness.
    pub rng: Rng,
    /// What is there.
    pub known: &'a Known,
    /// So many of a hundred values are off.
    pub strange_percent: u8,
}

impl Source<'_> {
    /// A message of this kind.
    pub fn message(&mut self, shape: &MessageDescriptor) -> DynamicMessage {
        self.nested(shape, 0)
    }

    fn nested(&mut self, shape: &MessageDescriptor, depth: u32) -> DynamicMessage {
        let mut message = DynamicMessage::new(shape.clone());
        if shape.full_name() == "google.protobuf.Timestamp" {
            self.instant(&mut message);
            return message;
        }
        for field in shape.fields() {
            let fits = depth < DEPTH_MAX || field.kind().as_message().is_none();
            if fits && !self.percent(ABSENT_PERCENT) {
                // The last one of a oneof stays.
                let value = self.value(&field, depth);
                message.set_field(&field, value);
            }
        }
        if shape.full_name() == "brokerage.common.v1.StepContext" {
            self.expire(&mut message);
        }
        message
    }

    /// A step that nobody asked for must have no effect, however right it looks: its time is over.
    fn expire(&mut self, context: &mut DynamicMessage) {
        let Some(field) = context.descriptor().get_field_by_name("not_after") else { return };
        let Some(shape) = field.kind().as_message().cloned() else { return };
        let mut instant = DynamicMessage::new(shape);
        instant.set_field_by_name("seconds", Value::I64(self.rng.i64(0..1_500_000_000)));
        context.set_field(&field, Value::Message(instant));
    }

    fn instant(&mut self, message: &mut DynamicMessage) {
        const NOW: i64 = 1_790_000_000;
        let bounds = [i64::MIN, i64::MAX, 0, -1, -62_135_596_801, 253_402_300_800];
        let seconds = if self.is_strange() {
            self.pick(&bounds)
        } else {
            NOW + self.rng.i64(-100_000_000..100_000_000)
        };
        let nanos = if self.is_strange() { self.pick(&[-1, i32::MIN, i32::MAX, 1_000_000_000]) } else { 0 };
        message.set_field_by_name("seconds", Value::I64(seconds));
        message.set_field_by_name("nanos", Value::I32(nanos));
    }

    fn value(&mut self, field: &FieldDescriptor, depth: u32) -> Value {
        if !field.is_list() {
            return self.single(field, depth);
        }
        let count = if self.percent(2) { MANY } else { self.rng.usize(0..4) };
        Value::List((0..count).map(|_| self.single(field, depth)).collect())
    }

    fn single(&mut self, field: &FieldDescriptor, depth: u32) -> Value {
        match field.kind() {
            Kind::String => Value::String(self.text(field.name())),
            Kind::Bool => Value::Bool(self.rng.bool() && field.name() != "validate_only" || self.percent(10)),
            Kind::Enum(choices) => Value::EnumNumber(self.choice(&choices)),
            Kind::Message(shape) => Value::Message(self.nested(&shape, depth + 1)),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => {
                let strange = self.pick(&[i32::MIN, -1, i32::MAX, 501]);
                Value::I32(if self.is_strange() { strange } else { self.rng.i32(0..200) })
            }
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => {
                let strange = self.pick(&[i64::MIN, -1, i64::MAX]);
                Value::I64(if self.is_strange() { strange } else { self.rng.i64(0..10) })
            }
            Kind::Uint32 | Kind::Fixed32 => {
                let strange = self.pick(&[u32::MAX, 19, 1_000]);
                Value::U32(if self.is_strange() { strange } else { self.rng.u32(0..9) })
            }
            Kind::Uint64 | Kind::Fixed64 => {
                let strange = self.pick(&[u64::MAX, 1 << 63]);
                Value::U64(if self.is_strange() { strange } else { self.rng.u64(0..9) })
            }
            Kind::Double => Value::F64(f64::NAN),
            Kind::Float => Value::F32(f32::NAN),
            Kind::Bytes => Value::Bytes((0..self.rng.usize(0..64)).map(|_| self.rng.u8(..)).collect()),
        }
    }

    fn choice(&mut self, choices: &EnumDescriptor) -> i32 {
        if self.is_strange() {
            return self.pick(&[0, -1, 99, i32::MAX, i32::MIN]);
        }
        let numbers: Vec<i32> = choices.values().map(|value| value.number()).collect();
        self.rng.choice(&numbers).copied().unwrap_or_default()
    }

    fn text(&mut self, name: &str) -> String {
        if self.is_strange() {
            return self.strange_text(name);
        }
        let known = self.known;
        match name {
            "request_id" if self.percent(90) => self.uuid(),
            "request_id" => self.one_of(&known.request_ids),
            "client_order_id" | "external_ref" => format!("fuzz-{}", self.rng.u32(..)),
            "customer_id" | "buyer_id" | "seller_id" | "customer_ids" => self.one_of(&known.customers),
            "asset" | "base_asset" | "quote_asset" => self.one_of(&known.assets),
            "instrument" | "symbol" => self.one_of(&known.symbols),
            "page_token" => String::new(),
            name if is_amount(name) => self.pick(AMOUNTS).to_owned(),
            name if name.ends_with("_id") && self.percent(80) => self.one_of(&known.orders),
            name if name.ends_with("_id") => self.uuid(),
            _ => format!("some {name}"),
        }
    }

    fn strange_text(&mut self, name: &str) -> String {
        match self.rng.u8(0..10) {
            0..=3 if is_amount(name) => self.pick(STRANGE_AMOUNTS).to_owned(),
            0 => "9".repeat(self.rng.usize(1..LONG_TEXT)),
            1 => (0..self.rng.usize(1..200)).map(|_| self.rng.char(..)).collect(),
            2 => self.uuid(),
            3 => Uuid::nil().to_string(),
            4 => self.pick(AMOUNTS).to_owned(),
            _ => self.pick(STRANGE_TEXTS).to_owned(),
        }
    }

    fn one_of(&mut self, known: &[String]) -> String {
        self.rng.choice(known).cloned().unwrap_or_else(|| self.uuid())
    }

    fn uuid(&mut self) -> String {
        Uuid::from_u128(self.rng.u128(..)).to_string()
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.rng.usize(..from.len())]
    }

    fn is_strange(&mut self) -> bool {
        self.percent(self.strange_percent)
    }

    fn percent(&mut self, percent: u8) -> bool {
        self.rng.u8(0..100) < percent
    }
}

fn is_amount(name: &str) -> bool {
    ["amount", "price", "quantity", "notional", "tick", "lot"].iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use prost_reflect::prost::Message;

    use super::*;
    use crate::fuzz::rpc;

    #[test]
    fn the_same_seed_draws_the_same_messages_and_all_can_be_read_again() {
        let known = Known::default();
        let draw = |rpc: &rpc::Rpc| {
            let mut source = Source { rng: Rng::with_seed(7), known: &known, strange_percent: 20 };
            (0..50).map(|_| source.message(&rpc.input).encode_to_vec()).collect::<Vec<_>>()
        };
        for rpc in rpc::every().unwrap() {
            let drawn = draw(&rpc);
            assert_eq!(drawn, draw(&rpc), "{}", rpc.path);
            for bytes in drawn {
                DynamicMessage::decode(rpc.input.clone(), bytes.as_slice()).unwrap();
            }
        }
    }
}
