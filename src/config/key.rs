//! A key of the configuration: its name, how its value is read, bounded and written, and what it means.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use toml::de::{DeInteger, DeValue};

use crate::base::Pattern;
use crate::config::unit::Unit;
use crate::meta::TagPattern;

/// A key of a section. `T` is what the section configures; its default is that of the key.
pub(in crate::config) struct ConfigKey<T: 'static> {
    /// The name in the file, without the section's.
    pub(in crate::config) name: &'static str,
    /// What it means, as the README and `pulk config --help` have it.
    pub(in crate::config) text: &'static str,
    form: Form<T>,
}

/// Where a value is kept.
type Slot<T, V> = fn(&mut T) -> &mut V;

/// How a value is written in the file.
pub(in crate::config) enum Form<T: 'static> {
    /// `true` or `false`.
    Switch(Slot<T, bool>),
    /// A number, its unit and its bounds.
    Number { unit: Unit, bounds: RangeInclusive<u64>, place: fn(&mut T) -> &mut dyn ConfigNumber },
    /// A string that is parsed.
    Text { read: fn(&mut T, &str) -> Result<(), String>, write: fn(&T) -> Option<String> },
    /// A string, or a list of strings, each of which is parsed.
    Texts { read: fn(&mut T, &[&str]) -> Result<(), String>, write: fn(&T) -> Vec<String> },
    /// A list of patterns, at least as many as `least`.
    Patterns { least: usize, place: Slot<T, Vec<Pattern>> },
    /// A list of patterns of tags.
    TagPatterns(Slot<T, Vec<TagPattern>>),
}

/// A number that a key sets.
pub(in crate::config) trait ConfigNumber {
    /// Returns it, unless it is absent.
    fn get(&self) -> Option<u64>;

    /// Sets it. Bounds have been checked.
    fn set(&mut self, number: u64);
}

/// Makes the form of a switch.
pub(in crate::config) const fn switch<T>(place: Slot<T, bool>) -> Form<T> {
    Form::Switch(place)
}

/// Makes the form of a number.
pub(in crate::config) const fn number<T>(
    unit: Unit,
    bounds: RangeInclusive<u64>,
    place: fn(&mut T) -> &mut dyn ConfigNumber,
) -> Form<T> {
    Form::Number { unit, bounds, place }
}

impl<T> ConfigKey<T> {
    /// Makes a key.
    pub(in crate::config) const fn new(name: &'static str, form: Form<T>, text: &'static str) -> Self {
        Self { name, text, form }
    }

    /// Takes a value of the file, or returns what is wrong with it and what would be right.
    pub(in crate::config) fn read(&self, value: &DeValue<'_>, to: &mut T) -> Result<(), String> {
        match &self.form {
            Form::Switch(place) => match value {
                DeValue::Boolean(value) => *place(to) = *value,
                other => return Err(mismatch(other, "a boolean: true or false")),
            },
            Form::Number { unit, bounds, place } => place(to).set(read_number(value, *unit, bounds)?),
            Form::Text { read, .. } => match value {
                DeValue::String(text) => read(to, text)?,
                other => return Err(mismatch(other, "a string")),
            },
            Form::Texts { read, .. } => read(to, &read_texts(value)?)?,
            Form::Patterns { least, place } => {
                *place(to) =
                    read_patterns(value, *least, "a list of patterns such as [\"team/*\", \"app\"]")?;
            }
            Form::TagPatterns(place) => {
                let form = "a list of patterns such as [\"v*\", \"regex:v[0-9]+\"]";
                *place(to) = read_patterns(value, 1, form)?;
            }
        }
        Ok(())
    }

    /// Returns the value as the file would have it, or `None` where an absent key says the same.
    pub(in crate::config) fn write(&self, from: &mut T) -> Option<String> {
        match &self.form {
            Form::Switch(place) => Some(place(from).to_string()),
            Form::Number { unit, place, .. } => {
                let number = unit.write(place(from).get()?);
                Some(if *unit == Unit::Count { number } else { format!("\"{number}\"") })
            }
            Form::Text { write, .. } => write(from).map(|text| quoted(&text)),
            Form::Texts { write, .. } => match write(from).as_slice() {
                [] => None,
                [one] => Some(quoted(one)),
                more => {
                    let texts: Vec<_> = more.iter().map(|text| quoted(text)).collect();
                    Some(format!("[{}]", texts.join(", ")))
                }
            },
            Form::Patterns { place, .. } => written_patterns(place(from)),
            Form::TagPatterns(place) => written_patterns(place(from)),
        }
    }
}

fn read_number(value: &DeValue<'_>, unit: Unit, bounds: &RangeInclusive<u64>) -> Result<u64, String> {
    let number = match value {
        DeValue::Integer(integer) if unit.is_plain() => plain(integer).ok_or_else(|| {
            let problem = if integer.as_str().starts_with('-') { "is negative" } else { "is too large" };
            format!("{integer} {problem}; write {}", unit.form())
        })?,
        DeValue::Integer(integer) => {
            return Err(format!("{integer} has no unit; write {}", unit.form()));
        }
        DeValue::String(text) if unit != Unit::Count => {
            unit.parse(text).ok_or_else(|| format!("\"{text}\" is not {}", unit.form()))?
        }
        other => return Err(mismatch(other, unit.form())),
    };
    if bounds.contains(&number) {
        return Ok(number);
    }
    Err(format!(
        "{} is out of bounds; it must be at least {} and at most {}",
        unit.write(number),
        unit.write(*bounds.start()),
        unit.write(*bounds.end())
    ))
}

fn plain(integer: &DeInteger<'_>) -> Option<u64> {
    u64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

fn written_patterns(patterns: &[impl ToString]) -> Option<String> {
    let quoted: Vec<_> = patterns.iter().map(|pattern| quoted(&pattern.to_string())).collect();
    (!quoted.is_empty()).then(|| format!("[{}]", quoted.join(", ")))
}

fn read_patterns<P: FromStr<Err: fmt::Display>>(
    value: &DeValue<'_>,
    least: usize,
    form: &str,
) -> Result<Vec<P>, String> {
    let DeValue::Array(values) = value else { return Err(mismatch(value, form)) };
    if values.len() < least {
        return Err("the list is empty; write [\"*\"] for all".to_owned());
    }
    let patterns = values.iter().map(|value| match value.get_ref() {
        DeValue::String(text) => text.parse().map_err(|error: P::Err| error.to_string()),
        other => Err(mismatch(other, form)),
    });
    patterns.collect()
}

fn read_texts<'a>(value: &'a DeValue<'_>) -> Result<Vec<&'a str>, String> {
    const FORM: &str = "a string, nor a list of strings";
    let text = |value: &'a DeValue<'_>| match value {
        DeValue::String(text) => Ok(text.as_ref()),
        other => Err(mismatch(other, FORM)),
    };
    match value {
        DeValue::Array(values) if values.is_empty() => Err("the list is empty".to_owned()),
        DeValue::Array(values) => values.iter().map(|value| text(value.get_ref())).collect(),
        one => text(one).map(|text| vec![text]),
    }
}

/// Says that a value has another type than it should have.
fn mismatch(value: &DeValue<'_>, wanted: &str) -> String {
    let found = match value {
        DeValue::String(text) => format!("\"{text}\""),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(switch) => switch.to_string(),
        DeValue::Datetime(time) => time.to_string(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    };
    format!("{found} is not {wanted}")
}

/// Writes a TOML basic string.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            control if control.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(control))),
            plain => quoted.push(plain),
        }
    }
    quoted.push('"');
    quoted
}

impl ConfigNumber for u64 {
    fn get(&self) -> Option<u64> {
        Some(*self)
    }

    fn set(&mut self, number: u64) {
        *self = number;
    }
}

impl ConfigNumber for usize {
    fn get(&self) -> Option<u64> {
        Some(*self as u64)
    }

    fn set(&mut self, number: u64) {
        *self = Self::try_from(number).unwrap_or(Self::MAX);
    }
}

impl ConfigNumber for u8 {
    fn get(&self) -> Option<u64> {
        Some(u64::from(*self))
    }

    fn set(&mut self, number: u64) {
        *self = Self::try_from(number).unwrap_or(Self::MAX);
    }
}

/// In whole seconds.
impl ConfigNumber for Duration {
    fn get(&self) -> Option<u64> {
        Some(self.as_secs())
    }

    fn set(&mut self, number: u64) {
        *self = Self::from_secs(number);
    }
}

impl<N: ConfigNumber + Default> ConfigNumber for Option<N> {
    fn get(&self) -> Option<u64> {
        self.as_ref().and_then(ConfigNumber::get)
    }

    fn set(&mut self, number: u64) {
        self.get_or_insert_default().set(number);
    }
}

#[cfg(test)]
mod tests {
    use toml::de::DeTable;

    use super::*;

    #[test]
    fn a_string_is_quoted_so_that_toml_reads_it_back() {
        let text = "a \"b\" \\ c\n\u{7f} é";
        let document = format!("key = {}", quoted(text));
        let table = DeTable::parse(&document).unwrap();
        let value = table.get_ref().get("key").unwrap().get_ref();
        assert!(matches!(value, DeValue::String(read) if read == text), "{value:?}");
    }
}
