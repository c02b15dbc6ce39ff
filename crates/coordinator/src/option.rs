//! Options of observers, as data: what a user may set, its type, and its value.
//!
//! An observer names an option once, as a constant [`Setting`], by which its spec declares it and its plans read it: always
//! there, always of its type, and checked when it is set. Command lines, manifests and reference pages are made from the
//! [`OptionSpec`] in it.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use jiff::SignedDuration;

use crate::{LabelSelector, ObserverSpec, View};

/// An option of an observer with the type of its value.
///
/// ```
/// use std::time::Duration;
/// use k8s_openapi::api::core::v1::Pod;
/// use xebec_coordinator::{ObserverSpec, Setting, View, Watch};
///
/// const QUIET: Setting<Duration> =
///     Setting::duration("quiet-window", "How long nothing must have changed.", Duration::from_secs(30));
///
/// let spec = ObserverSpec::new("rotator", "restarts Pods").watch(Watch::of::<Pod>()).option(&QUIET);
/// let spec = spec.set("quiet-window", "5m")?;
/// let view = View::of(&spec, jiff::Timestamp::UNIX_EPOCH, []);
/// assert_eq!(*view.option(&QUIET), Duration::from_mins(5));
///
/// let error = spec.set("quiet-window", "soon").unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     r#"option quiet-window of observer rotator: "soon" is no duration, write one such as 30s, 5m or 1h30m"#
/// );
/// # Ok::<(), xebec_coordinator::OptionError>(())
/// ```
pub struct Setting<T: OptionType + ?Sized> {
    spec: OptionSpec,
    of: PhantomData<fn() -> Box<T>>,
}

/// An option of an observer that a user may set.
#[derive(Clone, Debug, PartialEq)]
pub struct OptionSpec {
    /// Its name, unique in the observer: lower case, digits and dashes.
    pub name: Cow<'static, str>,
    /// What it does, in a sentence.
    pub description: Cow<'static, str>,
    /// What values it takes.
    pub form: OptionForm,
    /// What a number counts, where its name does not say.
    pub unit: Option<&'static str>,
    /// Its value where the user sets none.
    pub default: OptionValue,
    /// What the user has set.
    pub(crate) set: Option<OptionValue>,
}

/// What values an option takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OptionForm {
    /// Any text.
    Text,
    /// A whole number, within bounds.
    Integer {
        /// The least.
        min: i64,
        /// The greatest.
        max: i64,
    },
    /// A time span, such as `30s`, `5m` or `1h30m`.
    Duration,
    /// `true` or `false`.
    Boolean,
    /// A label selector, such as `app=web,tier in (front, back)`; an empty one selects everything.
    Selector,
    /// One of these words.
    OneOf(&'static [&'static str]),
}

/// A value of an option.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum OptionValue {
    /// Of an option that takes any text, or one of some words.
    Text(Cow<'static, str>),
    /// Of one that takes whole numbers.
    Integer(i64),
    /// Of one that takes time spans.
    Duration(Duration),
    /// Of one that takes `true` and `false`.
    Boolean(bool),
    /// Of one that takes label selectors.
    Selector(LabelSelector),
}

/// An option could not be set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionError {
    /// The observer has none of this name.
    #[error("observer {observer} has no option {option}: {known}")]
    Unknown {
        /// The observer.
        observer: String,
        /// The option.
        option: String,
        /// Those that it has.
        known: String,
    },
    /// The value is not of its form.
    #[error("option {option} of observer {observer}: {why}")]
    Wrong {
        /// The observer.
        observer: String,
        /// The option.
        option: String,
        /// Why not, and what to write.
        why: String,
    },
    /// The spec declares it in a way that it could not be set or read.
    #[error("observer {observer} cannot have the option {option}: {why}")]
    Declared {
        /// The observer.
        observer: String,
        /// The option.
        option: String,
        /// Why not.
        why: String,
    },
}

mod sealed {
    use super::OptionValue;

    /// How a type is found in a value.
    pub trait Sealed {
        fn of(value: &OptionValue) -> Option<&Self>;
    }
}

/// The types that the values of options have: `str`, `i64`, [`Duration`], `bool` and [`LabelSelector`].
pub trait OptionType: sealed::Sealed {}

macro_rules! option_type {
    ($($variant:ident => $type:ty),* $(,)?) => {$(
        impl OptionType for $type {}
        impl sealed::Sealed for $type {
            fn of(value: &OptionValue) -> Option<&Self> {
                if let OptionValue::$variant(value) = value { Some(value) } else { None }
            }
        }
    )*};
}

option_type! {
    Text => str,
    Integer => i64,
    Duration => Duration,
    Boolean => bool,
    Selector => LabelSelector,
}

impl<T: OptionType + ?Sized> Setting<T> {
    const fn new(
        name: &'static str,
        description: &'static str,
        form: OptionForm,
        default: OptionValue,
    ) -> Self {
        let (name, description) = (Cow::Borrowed(name), Cow::Borrowed(description));
        Self { spec: OptionSpec { name, description, form, unit: None, default, set: None }, of: PhantomData }
    }

    /// The option without its type.
    pub fn spec(&self) -> &OptionSpec {
        &self.spec
    }
}

impl Setting<str> {
    /// Takes any text.
    pub const fn text(name: &'static str, description: &'static str, default: &'static str) -> Self {
        Self::new(name, description, OptionForm::Text, OptionValue::Text(Cow::Borrowed(default)))
    }

    /// Takes one of these words, of which the first is the default.
    ///
    /// # Panics
    /// There is no word; in a constant, when it is compiled.
    pub const fn one_of(
        name: &'static str,
        description: &'static str,
        words: &'static [&'static str],
    ) -> Self {
        let default = OptionValue::Text(Cow::Borrowed(words[0]));
        Self::new(name, description, OptionForm::OneOf(words), default)
    }
}

impl Setting<i64> {
    /// Takes a whole number from `min` to `max`, of what `unit` says.
    pub const fn integer(
        name: &'static str,
        description: &'static str,
        (min, max): (i64, i64),
        unit: Option<&'static str>,
        default: i64,
    ) -> Self {
        let form = OptionForm::Integer { min, max };
        let mut setting = Self::new(name, description, form, OptionValue::Integer(default));
        setting.spec.unit = unit;
        setting
    }
}

impl Setting<Duration> {
    /// Takes a time span.
    pub const fn duration(name: &'static str, description: &'static str, default: Duration) -> Self {
        Self::new(name, description, OptionForm::Duration, OptionValue::Duration(default))
    }
}

impl Setting<bool> {
    /// Takes `true` or `false`.
    pub const fn boolean(name: &'static str, description: &'static str, default: bool) -> Self {
        Self::new(name, description, OptionForm::Boolean, OptionValue::Boolean(default))
    }
}

impl Setting<LabelSelector> {
    /// Takes a label selector; everything by default.
    pub const fn selector(name: &'static str, description: &'static str) -> Self {
        let default = OptionValue::Selector(LabelSelector::everything());
        Self::new(name, description, OptionForm::Selector, default)
    }
}

impl OptionForm {
    /// How a value is called in usage: `DURATION`.
    pub fn placeholder(&self) -> &'static str {
        match self {
            Self::Text => "TEXT",
            Self::Integer { .. } => "NUMBER",
            Self::Duration => "DURATION",
            Self::Boolean => "true|false",
            Self::Selector => "SELECTOR",
            Self::OneOf(_) => "WORD",
        }
    }

    /// The value that a text means.
    ///
    /// # Errors
    /// It means none: why, and what to write.
    pub fn parse(&self, text: &str) -> Result<OptionValue, String> {
        let text = text.trim();
        Ok(match *self {
            Self::Text => OptionValue::Text(Cow::Owned(text.to_owned())),
            Self::Integer { min, max } => match text.parse() {
                Ok(number) if (min..=max).contains(&number) => OptionValue::Integer(number),
                _ => return Err(format!("{text:?} is no whole number from {min} to {max}")),
            },
            Self::Duration => {
                let duration = text.parse::<SignedDuration>().ok().and_then(|span| span.try_into().ok());
                let wrong = || format!("{text:?} is no duration, write one such as 30s, 5m or 1h30m");
                OptionValue::Duration(duration.ok_or_else(wrong)?)
            }
            Self::Boolean => match text {
                "true" => OptionValue::Boolean(true),
                "false" => OptionValue::Boolean(false),
                _ => return Err(format!("{text:?} is neither true nor false")),
            },
            Self::Selector => OptionValue::Selector(text.parse().map_err(|error| format!("{error}"))?),
            Self::OneOf(words) => match words.iter().find(|word| **word == text) {
                Some(word) => OptionValue::Text(Cow::Borrowed(word)),
                None => return Err(format!("{text:?} is none of {}", words.join(", "))),
            },
        })
    }
}

impl fmt::Display for OptionForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => f.write_str("text"),
            Self::Integer { min, max } => write!(f, "whole number, {min} to {max}"),
            Self::Duration => f.write_str("duration (30s, 5m, 1h30m)"),
            Self::Boolean => f.write_str("true or false"),
            Self::Selector => f.write_str("label selector (app=web,tier in (front, back))"),
            Self::OneOf(words) => write!(f, "one of {}", words.join(", ")),
        }
    }
}

/// As it is written to be parsed again.
impl fmt::Display for OptionValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Integer(number) => number.fmt(f),
            Self::Duration(duration) => match SignedDuration::try_from(*duration) {
                Ok(span) => write!(f, "{span:#}"),
                Err(_) => write!(f, "{duration:?}"),
            },
            Self::Boolean(value) => value.fmt(f),
            Self::Selector(selector) => selector.fmt(f),
        }
    }
}

impl OptionSpec {
    /// Its value: what the user has set, or the default.
    pub fn value(&self) -> &OptionValue {
        self.set.as_ref().unwrap_or(&self.default)
    }

    /// Whether the user has set it.
    pub fn is_set(&self) -> bool {
        self.set.is_some()
    }
}

impl ObserverSpec {
    /// Has an option.
    #[must_use]
    pub fn option<T: OptionType + ?Sized>(mut self, setting: &Setting<T>) -> Self {
        self.options.push(setting.spec.clone());
        self
    }

    /// Sets an option to what a text means, such as a flag or a line of a configuration.
    ///
    /// # Errors
    /// There is no such option, or the text is not of its form: what to write instead.
    pub fn set(mut self, option: &str, text: &str) -> Result<Self, OptionError> {
        let known: Vec<&str> = self.options.iter().map(|option| &*option.name).collect();
        let known =
            if known.is_empty() { "it has none".to_owned() } else { format!("it has {}", known.join(", ")) };
        let observer = self.name.clone().into_owned();
        let Some(found) = self.options.iter_mut().find(|found| found.name == option) else {
            return Err(OptionError::Unknown { observer, option: option.to_owned(), known });
        };
        match found.form.parse(text) {
            Ok(value) => found.set = Some(value),
            Err(why) => return Err(OptionError::Wrong { observer, option: option.to_owned(), why }),
        }
        Ok(self)
    }
}

impl ObserverSpec {
    /// Whether its options can be told apart, set and read.
    pub(crate) fn check_options(&self) -> Result<(), OptionError> {
        for (place, option) in self.options.iter().enumerate() {
            let is_name = option.name.starts_with(|c: char| c.is_ascii_lowercase())
                && option.name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
            let why = if !is_name {
                "names of options are lower case, digits and dashes".to_owned()
            } else if self.options[..place].iter().any(|other| other.name == option.name) {
                "there is another of this name".to_owned()
            } else if let Err(why) = option.form.parse(&option.default.to_string()) {
                format!("its default is wrong: {why}")
            } else {
                continue;
            };
            let (observer, option) = (self.name.clone().into_owned(), option.name.clone().into_owned());
            return Err(OptionError::Declared { observer, option, why });
        }
        Ok(())
    }
}

impl View {
    /// The value of an option that the observer's spec declares. Asking for one that it does not declare is a bug in the
    /// observer and panics.
    pub fn option<T: OptionType + ?Sized>(&self, setting: &Setting<T>) -> &T {
        let name = &setting.spec.name;
        let declared = self.tables().options.iter().find(|option| option.name == *name);
        match declared.and_then(|option| T::of(option.value())) {
            Some(value) => value,
            None => panic!("the observer's spec has no option {name} of this type"),
        }
    }
}

impl<T: OptionType + ?Sized> fmt::Debug for Setting<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.spec.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_parsed_and_written_so_that_they_are_parsed_again() {
        let integer = OptionForm::Integer { min: 1, max: 9 };
        for (form, text, expected) in [
            (OptionForm::Text, " a b ", Ok("a b")),
            (integer, "9", Ok("9")),
            (integer, "10", Err("\"10\" is no whole number from 1 to 9")),
            (integer, "many", Err("\"many\" is no whole number from 1 to 9")),
            (OptionForm::Duration, "90s", Ok("1m 30s")),
            (OptionForm::Duration, "250ms", Ok("250ms")),
            (OptionForm::Duration, "-3s", Err("\"-3s\" is no duration, write one such as 30s, 5m or 1h30m")),
            (OptionForm::Boolean, "true", Ok("true")),
            (OptionForm::Boolean, "yes", Err("\"yes\" is neither true nor false")),
            (OptionForm::Selector, "app=web", Ok("app=web")),
            (OptionForm::OneOf(&["red", "blue"]), "blue", Ok("blue")),
            (OptionForm::OneOf(&["red", "blue"]), "green", Err("\"green\" is none of red, blue")),
        ] {
            let value = form.parse(text);
            let shown = value.as_ref().map(ToString::to_string).map_err(String::as_str);
            assert_eq!(shown, expected.map(str::to_owned), "{form}: {text}");
            if let Ok(value) = &value {
                assert_eq!(form.parse(&value.to_string()).as_ref(), Ok(value), "{form}: {text}");
            }
        }
    }
}
