//! How commands print what they found: text for people, JSON and YAML for programs.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
};

use anyhow::{Context, Result};
use clap::ValueEnum;
use serde_json::Value;

/// A form of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// For people.
    Text,
    Json,
    Yaml,
}

/// A value in a form for programs, or the text for people.
///
/// # Errors
/// It cannot be encoded.
pub fn render(format: OutputFormat, value: &Value, text: impl FnOnce() -> String) -> Result<String> {
    Ok(match format {
        OutputFormat::Text => text(),
        OutputFormat::Json => format!("{}\n", serde_json::to_string_pretty(value)?),
        OutputFormat::Yaml => yaml(value)?,
    })
}

/// A value as a YAML document that ends with its line.
///
/// # Errors
/// It cannot be encoded.
pub fn yaml(value: &Value) -> Result<String> {
    let mut text = serde_saphyr::to_string(value).context("encode YAML")?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}

/// Rows as aligned columns, as kubectl has them. What a cluster says cannot steer the terminal.
pub fn table(rows: &[Vec<String>]) -> String {
    const GAP: usize = 3;
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| printable(cell)).collect()).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            // Writing to a string cannot fail.
            let _ = write!(line, "{cell:<width$}", width = width + GAP);
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// The text without control characters.
pub fn printable(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

/// Prints.
///
/// # Errors
/// Standard output is closed.
pub fn write(text: &str) -> Result<()> {
    let mut output = io::stdout().lock();
    output.write_all(text.as_bytes())?;
    Ok(output.flush()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_aligned_and_cannot_steer_the_terminal() {
        let rows = [["NAME", "ERROR"], ["a-long-name", "\u{1b}[2Jgone\nfake"]];
        let rows = rows.map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(table(&rows), "NAME          ERROR\na-long-name   \u{fffd}[2Jgone\u{fffd}fake\n");
    }
}
