//! Prints answers: as a table for people, or as JSON for programs.

use std::fmt::Display;
use std::io::{ErrorKind, Write};

use anyhow::{Context, Result};
use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table, presets};
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};
use serde_json::Value;

use crate::failure::Exit;

/// How answers are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Aligned columns.
    #[default]
    Table,
    /// One JSON value a line, with the names of the proto files and every field present.
    Json,
}

/// Prints one answer: the message itself as JSON, or the table made of it.
///
/// # Errors
/// When the message is not one of ours, which would be a mistake of this program.
pub fn print<M: Message>(
    format: Format,
    message_name: &str,
    message: &M,
    table: impl FnOnce(&M) -> Table,
) -> Result<()> {
    match format {
        Format::Table => say(table(message)),
        Format::Json => say(json(message_name, message)?),
    }
    Ok(())
}

/// Prints one line, or several. When nobody reads any more, as after `| head`, the program is done.
pub fn say(text: impl Display) {
    if let Err(error) = writeln!(std::io::stdout(), "{text}") {
        let code = if error.kind() == ErrorKind::BrokenPipe { Exit::Done } else { Exit::Internal };
        std::process::exit(i32::from(code as u8));
    }
}

/// A message as JSON.
///
/// # Errors
/// When `message_name` is not a message of the proto files, or not this one.
pub fn json<M: Message>(message_name: &str, message: &M) -> Result<Value> {
    let pool =
        DescriptorPool::decode(brokerage_proto::FILE_DESCRIPTOR_SET).context("read our descriptors")?;
    let descriptor = pool
        .get_message_by_name(message_name)
        .with_context(|| format!("no message is called {message_name}"))?;
    let dynamic = DynamicMessage::decode(descriptor, message.encode_to_vec().as_slice())
        .with_context(|| format!("read the answer as {message_name}"))?;
    let options = SerializeOptions::new()
        .use_proto_field_name(true)
        .skip_default_fields(false)
        .stringify_64_bit_integers(false);
    dynamic.serialize_with_options(serde_json::value::Serializer, &options).context("write JSON")
}

/// A table with these columns.
#[must_use]
pub fn table(columns: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(columns.iter().map(|column| column.to_uppercase()));
    table
}

/// A table of one thing: a name and a value on each line, empty ones left out.
#[must_use]
pub fn card(lines: &[(&str, String)]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    for (name, value) in lines.iter().filter(|(_, value)| !value.is_empty()) {
        table.add_row([(*name).to_owned(), value.clone()]);
    }
    table
}

/// An instant as people read it, in UTC.
#[must_use]
pub fn time(at: Option<&prost_types::Timestamp>) -> String {
    at.and_then(|at| chrono::DateTime::from_timestamp(at.seconds, u32::try_from(at.nanos).ok()?))
        .map(|at| at.format("%Y-%m-%d %H:%M:%S%.3fZ").to_string())
        .unwrap_or_default()
}

/// A name of an enum value without the prefix that proto files want: `ORDER_STATUS_PENDING` → `PENDING`.
#[must_use]
pub fn short(name: &str, prefix: &str) -> String {
    name.strip_prefix(prefix).unwrap_or(name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use brokerage_proto::asset::v1::Balance;

    #[test]
    fn json_has_every_field_under_its_proto_name() {
        let balance = Balance { asset: "TRY".into(), total: "1.5".into(), version: 7, ..Balance::default() };
        let json = json("brokerage.asset.v1.Balance", &balance).unwrap();
        assert_eq!(
            json,
            serde_json::json!({ "asset": "TRY", "total": "1.5", "usable": "", "held": "", "version": 7 })
        );
    }
}
