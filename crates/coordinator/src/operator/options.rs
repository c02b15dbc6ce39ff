//! A flag for each option of an observer, made from its spec.

use clap::{Arg, ArgMatches};

use crate::{ObserverSpec, OptionError, OptionSpec};

impl ObserverSpec {
    /// How the flag of an option is called, without its dashes: `OBSERVER.OPTION`.
    pub fn flag(&self, option: &OptionSpec) -> String {
        format!("{}.{}", self.name, option.name)
    }

    /// A flag for each of its options, to be added to a command: what it takes is checked, and refused with what to write.
    pub fn flags(&self) -> Vec<Arg> {
        let heading = format!("Options of {}", self.name);
        let flags = self.options.iter().map(|option| {
            let (form, name) = (option.form, self.flag(option));
            let unit = option.unit.map(|unit| format!(" In {unit}.")).unwrap_or_default();
            let default = option.default.to_string();
            let default = if default.is_empty() { String::new() } else { format!(" [default: {default}]") };
            Arg::new(name.clone())
                .long(name)
                .value_name(form.placeholder())
                .help(format!("{}{unit}{default}", option.description))
                .help_heading(heading.clone())
                .value_parser(move |text: &str| form.parse(text).map(|_| text.to_owned()))
        });
        flags.collect()
    }

    /// Those of its flags that were given, and what they say. A command need not have them all.
    pub fn flags_given(&self, matches: &ArgMatches) -> Vec<(String, String)> {
        let given = self.options.iter().filter_map(|option| {
            let flag = self.flag(option);
            let text = matches.try_get_one::<String>(&flag).ok().flatten()?.clone();
            Some((flag, text))
        });
        given.collect()
    }

    /// The same with its options as flags say: names without dashes, and values. Flags of other observers are passed over.
    ///
    /// # Errors
    /// A value is not of its option's form.
    pub fn set_by_flags<'f>(
        self,
        flags: impl IntoIterator<Item = (&'f str, &'f str)>,
    ) -> Result<Self, OptionError> {
        flags.into_iter().try_fold(self, |spec, (flag, text)| {
            let option = spec.options.iter().find(|option| spec.flag(option) == flag);
            match option.map(|option| option.name.clone()) {
                Some(option) => spec.set(&option, text),
                None => Ok(spec),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::Command;

    use super::*;
    use crate::Setting;

    #[test]
    fn options_are_flags() {
        const EVERY: Setting<Duration> = Setting::duration("every", "How often.", Duration::from_secs(5));
        const TIMES: Setting<i64> = Setting::integer("times", "How many.", (0, 9), Some("greetings"), 1);
        let spec = ObserverSpec::new("greeter", "greets").option(&EVERY).option(&TIMES);
        let mut command = Command::new("test").args(spec.flags());
        let help = command.render_long_help().to_string();
        for part in
            ["Options of greeter:", "--greeter.every <DURATION>", "How many. In greetings. [default: 1]"]
        {
            assert!(help.contains(part), "no {part} in {help}");
        }
        let matches =
            command.clone().try_get_matches_from(["test", "--greeter.every=1h", "--greeter.times", "3"]);
        let given = spec.flags_given(&matches.unwrap());
        let given = given.iter().map(|(flag, text)| (flag.as_str(), text.as_str()));
        let set = spec.clone().set_by_flags(given.chain([("other.every", "never")])).unwrap();
        let values: Vec<_> = set.options.iter().map(|option| option.value().to_string()).collect();
        assert_eq!(values, ["1h", "3"]);
        let error = command.try_get_matches_from(["test", "--greeter.times=10"]).unwrap_err().to_string();
        assert!(error.contains("no whole number from 0 to 9"), "{error}");
    }
}
