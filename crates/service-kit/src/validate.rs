//! Reads the fields of a request and collects everything that is wrong with them, so that a caller learns it at once.

use std::fmt::Display;
use std::str::FromStr;

use brokerage_types::{FieldViolation, InvalidAmount, InvalidId, InvalidText, Reason};

use crate::fault::{ApiResult, Refusal};

/// Why a text is not a value of some type.
pub trait Invalid: Display {
    /// Why, for machines.
    fn reason(&self) -> Reason;
}

impl Invalid for InvalidAmount {
    fn reason(&self) -> Reason {
        InvalidAmount::reason(*self)
    }
}

impl Invalid for InvalidText {
    fn reason(&self) -> Reason {
        InvalidText::reason(self)
    }
}

impl Invalid for InvalidId {
    fn reason(&self) -> Reason {
        InvalidId::reason(self)
    }
}

/// The fields of one request. Each method returns the value, or `None` after noting the violation.
///
/// ```
/// # use service_kit::validate::Fields;
/// # use brokerage_types::{Price, Symbol};
/// let mut fields = Fields::new();
/// let symbol = fields.parse::<Symbol>("instrument", "THYAO");
/// let price = fields.parse::<Price>("limit_price", "1.5");
/// let order = fields.finish(symbol.zip(price)).unwrap();
/// ```
#[derive(Debug, Default)]
pub struct Fields {
    violations: Vec<FieldViolation>,
}

impl Fields {
    /// No field read yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes a violation.
    pub fn violate(&mut self, field: &str, reason: Reason, description: impl Into<String>) {
        self.violations.push(FieldViolation::new(field, reason, description));
    }

    /// Notes violations that somebody else found.
    pub fn extend(&mut self, violations: Vec<FieldViolation>) {
        self.violations.extend(violations);
    }

    /// A text that must not be empty.
    pub fn required<'a>(&mut self, field: &str, value: &'a str) -> Option<&'a str> {
        if value.is_empty() {
            self.violate(field, Reason::FieldRequired, "must be given");
            return None;
        }
        Some(value)
    }

    /// A text of 1 to `length_max` characters, none of them a control character.
    pub fn text<'a>(&mut self, field: &str, value: &'a str, length_max: usize) -> Option<&'a str> {
        let value = self.required(field, value)?;
        if value.chars().count() > length_max || value.chars().any(char::is_control) {
            let description = format!("must be 1–{length_max} characters without control characters");
            self.violate(field, Reason::FieldInvalid, description);
            return None;
        }
        Some(value)
    }

    /// A value that must be given.
    pub fn parse<T>(&mut self, field: &str, value: &str) -> Option<T>
    where
        T: FromStr,
        T::Err: Invalid,
    {
        let value = self.required(field, value)?;
        self.check(field, value.parse())
    }

    /// A value that may be left out: `Some(None)` if it is.
    pub fn optional<T>(&mut self, field: &str, value: &str) -> Option<Option<T>>
    where
        T: FromStr,
        T::Err: Invalid,
    {
        if value.is_empty() { Some(None) } else { self.check(field, value.parse()).map(Some) }
    }

    /// An amount, price or quantity that must be given.
    pub fn amount<T: FromStr<Err = InvalidAmount>>(&mut self, field: &str, value: &str) -> Option<T> {
        self.parse(field, value)
    }

    /// The value of a check made elsewhere.
    pub fn check<T, E: Invalid>(&mut self, field: &str, checked: Result<T, E>) -> Option<T> {
        match checked {
            Ok(value) => Some(value),
            Err(error) => {
                self.violate(field, error.reason(), error.to_string());
                None
            }
        }
    }

    /// An enum value of the wire. Zero counts as not given, unknown numbers as invalid.
    pub fn choice<W: TryFrom<i32>, T>(
        &mut self,
        field: &str,
        value: i32,
        read: impl Fn(W) -> Option<T>,
    ) -> Option<T> {
        if value == 0 {
            self.violate(field, Reason::FieldRequired, "must be given");
            return None;
        }
        let read = W::try_from(value).ok().and_then(read);
        if read.is_none() {
            self.violate(field, Reason::FieldInvalid, format!("{value} is not a value of this field"));
        }
        read
    }

    /// A message that must be given.
    pub fn message<'a, T>(&mut self, field: &str, value: &'a Option<T>) -> Option<&'a T> {
        if value.is_none() {
            self.violate(field, Reason::FieldRequired, "must be given");
        }
        value.as_ref()
    }

    /// The result, if nothing was wrong.
    ///
    /// # Errors
    /// The violation's own reason if there is one violation, `VALIDATION_FAILED` if there are more.
    pub fn finish<T>(self, value: Option<T>) -> ApiResult<T> {
        match (self.violations.as_slice(), value) {
            ([], Some(value)) => Ok(value),
            ([], None) => Err(Refusal::new(Reason::ValidationFailed, "the request is not valid").into()),
            ([one], _) => Err(Refusal::field(&one.field, one.reason, one.description.clone()).into()),
            (several, _) => {
                let names: Vec<&str> = several.iter().map(|violation| violation.field.as_str()).collect();
                let message = format!("{} fields are not valid: {}", several.len(), names.join(", "));
                Err(Refusal::new(Reason::ValidationFailed, message).violations(self.violations).into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use brokerage_types::{OrderId, Price, Symbol};

    use super::*;
    use crate::fault::ApiError;

    fn refusal<T: std::fmt::Debug>(result: ApiResult<T>) -> Refusal {
        match result {
            Err(ApiError::Refusal(refusal)) => refusal,
            other => panic!("not refused: {other:?}"),
        }
    }

    #[test]
    fn a_caller_learns_every_mistake_at_once() {
        let mut fields = Fields::new();
        let symbol = fields.parse::<Symbol>("instrument", "");
        let price = fields.amount::<Price>("limit_price", "1e5");
        let order = fields.parse::<OrderId>("order_id", "nonsense");
        let refusal = refusal(fields.finish(symbol.zip(price).zip(order)));
        assert_eq!(refusal.reason, Reason::ValidationFailed);
        let found: Vec<_> = refusal.violations.iter().map(|v| (v.field.as_str(), v.reason)).collect();
        assert_eq!(
            found,
            [
                ("instrument", Reason::FieldRequired),
                ("limit_price", Reason::AmountGrammar),
                ("order_id", Reason::FieldInvalid),
            ]
        );
    }

    #[test]
    fn a_single_mistake_is_the_reason() {
        let mut fields = Fields::new();
        let price = fields.amount::<Price>("limit_price", "0");
        let refusal = refusal(fields.finish(price));
        assert_eq!(refusal.reason, Reason::AmountNotPositive);
        assert_eq!(refusal.violations.len(), 1);
    }

    #[test]
    fn optional_fields_may_be_left_out_but_not_wrong() {
        let mut fields = Fields::new();
        assert_eq!(fields.optional::<Price>("price", ""), Some(None));
        assert_eq!(fields.optional::<Price>("price", "x"), None);
        assert_eq!(refusal(fields.finish(Some(()))).reason, Reason::AmountGrammar);
    }
}
