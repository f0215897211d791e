//! The number under every kind of money: its grammar, its printing, its bound. Signs are the kinds' affair.

use std::fmt;

use rust_decimal::Decimal;

use super::InvalidAmount;

/// Most decimals that any money can have.
pub const MONEY_SCALE_MAX: u32 = 8;
/// How many units make 1.
pub(super) const UNITS_PER_ONE: i128 = 100_000_000;
/// Every magnitude is below this many units: 18 digits before the point and 8 behind it.
const UNITS_BOUND: i128 = 100_000_000_000_000_000_000_000_000;
const WHOLE_DIGITS_MAX: usize = 18;
const FRACTION_DIGITS_MAX: usize = MONEY_SCALE_MAX as usize;

/// True if the number is one that money may have.
pub(super) const fn in_range(units: i128) -> bool {
    -UNITS_BOUND < units && units < UNITS_BOUND
}

/// Reads `^-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,8})?$` by hand, so that no library's idea of a number gets in.
/// A number that is well formed but has more than 18 whole digits is too large rather than malformed.
pub(super) fn parse(text: &str) -> Result<i128, InvalidAmount> {
    let (negative, magnitude) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = match magnitude.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (magnitude, None),
    };
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let fraction_is_fine =
        fraction.is_none_or(|digits| digits.len() <= FRACTION_DIGITS_MAX && all_digits(digits));
    if !all_digits(whole) || (whole.len() > 1 && whole.starts_with('0')) || !fraction_is_fine {
        return Err(InvalidAmount::Grammar);
    }
    if whole.len() > WHOLE_DIGITS_MAX {
        return Err(InvalidAmount::TooLarge);
    }
    let fraction = fraction.unwrap_or_default().bytes();
    let padded = fraction.chain(std::iter::repeat(b'0')).take(FRACTION_DIGITS_MAX);
    let units = whole.bytes().chain(padded).fold(0_i128, |sum, digit| sum * 10 + i128::from(digit - b'0'));
    Ok(if negative { -units } else { units })
}

/// Prints the one canonical form: no needless zeros, no sign on zero.
pub(super) fn print(units: i128, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    let magnitude = units.unsigned_abs();
    let one = UNITS_PER_ONE.unsigned_abs();
    let (whole, fraction) = (magnitude / one, magnitude % one);
    let text = if fraction == 0 {
        whole.to_string()
    } else {
        format!("{whole}.{fraction:0width$}", width = FRACTION_DIGITS_MAX).trim_end_matches('0').to_owned()
    };
    out.pad_integral(units >= 0, "", &text)
}

/// How many decimals the number really uses.
pub(super) const fn decimals(units: i128) -> u32 {
    let mut rest = units % UNITS_PER_ONE;
    let mut places = MONEY_SCALE_MAX;
    while places > 0 && rest % 10 == 0 {
        rest /= 10;
        places -= 1;
    }
    places
}

/// True if `units` is a whole number of `step`s. Only zero is a multiple of zero.
pub(super) const fn is_multiple(units: i128, step: i128) -> bool {
    if step == 0 { units == 0 } else { units % step == 0 }
}

/// 10 to the power of `exponent`, for exponents whose result fits.
pub(super) const fn power_of_ten(exponent: u32) -> Option<i128> {
    10_i128.checked_pow(exponent)
}

/// The same number for SQL, in its shortest form.
pub(super) fn to_decimal(units: i128) -> Decimal {
    let scale = decimals(units);
    // The bound is 10²⁶ and a Decimal's mantissa goes up to 2⁹⁶ ≈ 7.9·10²⁸, so it always fits its three words.
    let mantissa = units.unsigned_abs() / 10_u128.pow(MONEY_SCALE_MAX - scale);
    let word = |index: u32| ((mantissa >> (32 * index)) & u128::from(u32::MAX)) as u32;
    Decimal::from_parts(word(0), word(1), word(2), units < 0, scale)
}

/// The same number from SQL, exactly or not at all.
pub(super) fn from_decimal(decimal: Decimal) -> Result<i128, InvalidAmount> {
    let (mantissa, scale) = (decimal.mantissa(), decimal.scale());
    if let Some(missing) = MONEY_SCALE_MAX.checked_sub(scale) {
        let factor = power_of_ten(missing).ok_or(InvalidAmount::TooLarge)?;
        return mantissa.checked_mul(factor).ok_or(InvalidAmount::TooLarge);
    }
    let surplus = power_of_ten(scale - MONEY_SCALE_MAX).ok_or(InvalidAmount::Grammar)?;
    if mantissa % surplus != 0 {
        return Err(InvalidAmount::Grammar);
    }
    Ok(mantissa / surplus)
}
