//! Reads the LOBSTER message format: one message a line, no header, nothing repaired.

use std::fmt;

use brokerage_types::Side;

/// Which order of the file, by the venue's reference.
pub type Reference = u64;

/// What a message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Type 1: a new limit order.
    New,
    /// Type 2: a part of an order is canceled.
    PartialCancel,
    /// Type 3: what is left of an order is deleted.
    Delete,
    /// Type 4: a visible order is executed.
    Execute,
    /// Type 5: a hidden order is executed.
    ExecuteHidden,
    /// Type 6: a cross trade.
    Cross,
    /// Type 7: trading halts or resumes.
    Halt,
}

impl Kind {
    fn from_number(number: &str) -> Option<Self> {
        match number {
            "1" => Some(Self::New),
            "2" => Some(Self::PartialCancel),
            "3" => Some(Self::Delete),
            "4" => Some(Self::Execute),
            "5" => Some(Self::ExecuteHidden),
            "6" => Some(Self::Cross),
            "7" => Some(Self::Halt),
            _ => None,
        }
    }

    /// In words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::New => "new order",
            Self::PartialCancel => "partial cancellation",
            Self::Delete => "deletion",
            Self::Execute => "execution",
            Self::ExecuteHidden => "hidden execution",
            Self::Cross => "cross trade",
            Self::Halt => "trading halt",
        }
    }
}

/// A price as the file has it: dollars × 10,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FilePrice(pub i64);

impl FilePrice {
    const PER_UNIT: i64 = 10_000;

    /// How many decimals it needs.
    #[must_use]
    pub fn decimals(self) -> u32 {
        match self.0 {
            ticks if ticks % Self::PER_UNIT == 0 => 0,
            ticks if ticks % 1_000 == 0 => 1,
            ticks if ticks % 100 == 0 => 2,
            ticks if ticks % 10 == 0 => 3,
            _ => 4,
        }
    }
}

/// As a decimal without trailing zeros.
impl fmt::Display for FilePrice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, fraction) = (self.0 / Self::PER_UNIT, self.0 % Self::PER_UNIT);
        if fraction == 0 {
            return write!(f, "{whole}");
        }
        let digits = format!("{fraction:04}");
        write!(f, "{whole}.{}", digits.trim_end_matches('0'))
    }
}

/// One line of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// Which line, from 1.
    pub line: usize,
    /// What it says.
    pub kind: Kind,
    /// About which order; 0 for some hidden executions.
    pub reference: Reference,
    /// Shares: of the new order, of the part canceled, of the part executed.
    pub size: u64,
    /// Of the resting order.
    pub price: FilePrice,
    /// Of the resting order.
    pub side: Side,
}

/// Reads a whole file. The first line that cannot be read ends it.
///
/// # Errors
/// Says which line is wrong and how.
pub fn parse(text: &str) -> Result<Vec<Message>, String> {
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(at, line)| parse_line(at + 1, line).map_err(|why| format!("line {}: {why}: {line}", at + 1)))
        .collect()
}

fn parse_line(line: usize, text: &str) -> Result<Message, String> {
    let fields: Vec<&str> = text.trim().split(',').map(str::trim).collect();
    let [time, kind, reference, size, price, direction] = fields[..] else {
        return Err(format!("6 columns expected, {} found", fields.len()));
    };
    if !time.bytes().all(|b| b.is_ascii_digit() || b == b'.') || time.is_empty() {
        return Err("the time is not seconds after midnight".to_owned());
    }
    let kind = Kind::from_number(kind).ok_or("the type is not 1 to 7")?;
    let message = Message {
        line,
        kind,
        reference: reference.parse().map_err(|_| "the order id is not a number")?,
        size: size.parse().map_err(|_| "the size is not a whole number")?,
        price: FilePrice(price.parse().map_err(|_| "the price is not a whole number")?),
        side: match direction {
            "1" => Side::Buy,
            "-1" => Side::Sell,
            _ => return Err("the direction is not 1 or -1".to_owned()),
        },
    };
    // A halt carries a code in place of a price and no size.
    if kind != Kind::Halt && (message.size == 0 || message.price.0 <= 0) {
        return Err("size and price must be positive".to_owned());
    }
    Ok(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_documented() {
        let messages =
            parse("34200.004241176,1,16113575,18,5853300,1\n34200.1,4,16113575,8,5853300,-1\n").unwrap();
        assert_eq!(
            messages[0],
            Message {
                line: 1,
                kind: Kind::New,
                reference: 16_113_575,
                size: 18,
                price: FilePrice(5_853_300),
                side: Side::Buy
            }
        );
        assert_eq!((messages[1].line, messages[1].kind, messages[1].side), (2, Kind::Execute, Side::Sell));
    }

    #[test]
    fn a_wrong_line_is_named() {
        for (line, why) in [
            ("1,1,1,1,1", "6 columns"),
            ("x,1,1,1,1,1", "time"),
            ("1,8,1,1,1,1", "type"),
            ("1,1,a,1,1,1", "order id"),
            ("1,1,1,-1,1,1", "size"),
            ("1,1,1,1,1.5,1", "price"),
            ("1,1,1,1,1,0", "direction"),
            ("1,1,1,0,1,1", "positive"),
        ] {
            let error = parse(&format!("1,1,1,1,1,1\n{line}")).unwrap_err();
            assert!(error.starts_with("line 2: ") && error.contains(why), "{line}: {error}");
        }
    }

    #[test]
    fn prices_print_as_decimals() {
        for (price, text, decimals) in [
            (5_853_300, "585.33", 2),
            (10_000, "1", 0),
            (5_853_350, "585.335", 3),
            (1, "0.0001", 4),
            (2_500, "0.25", 2),
        ] {
            assert_eq!(
                (FilePrice(price).to_string().as_str(), FilePrice(price).decimals()),
                (text, decimals)
            );
        }
    }
}
