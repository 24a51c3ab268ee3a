//! `sbm.yaml`: what a folder says about the scripts in it.

use std::time::Duration;

use serde_yaml::{Mapping, Value};

use super::{Fault, Script, decode_text, folder::SETTINGS, names};

/// The keys that stand at the top and at a listed script.
const SCRIPT_KEYS: [&str; 8] = [
    "database",
    "timeout",
    "strip_transactions",
    "run_once",
    "roll_back_on_error",
    "causes_build_failure",
    "tag",
    "description",
];
const TOP_KEYS: [&str; 2] = ["scripts", "rest"];
const FILE_KEY: &str = "file";

/// What `sbm.yaml` says; by default nothing.
#[derive(Debug, Default)]
pub(super) struct FolderSettings {
    /// Settings of all scripts.
    pub defaults: Overrides,
    /// The scripts in their order, with settings of their own; natural order when none.
    pub scripts: Option<Vec<(String, Overrides)>>,
    /// What becomes of scripts that are not listed.
    pub rest: Rest,
}

/// What becomes of scripts that are not listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Rest {
    /// They are an error, so that a forgotten line is noticed.
    #[default]
    Refuse,
    /// They run behind the listed ones, in natural order.
    Append,
    /// They do not run.
    Ignore,
}

/// Settings of a script, as far as they are given.
#[derive(Debug, Default)]
pub(super) struct Overrides {
    database: Option<String>,
    timeout: Option<Duration>,
    strip_transactions: Option<bool>,
    run_once: Option<bool>,
    roll_back_on_error: Option<bool>,
    causes_build_failure: Option<bool>,
    tag: Option<String>,
    description: Option<String>,
}

impl Overrides {
    /// Changes what is given in `script`.
    pub(super) fn apply(&self, script: &mut Script) {
        set(&mut script.database, self.database.as_ref());
        set(&mut script.tag, self.tag.as_ref());
        set(&mut script.description, self.description.as_ref());
        script.timeout = self.timeout.or(script.timeout);
        set(
            &mut script.strip_transaction_text,
            self.strip_transactions.as_ref(),
        );
        let again = self.run_once.map(|run_once| !run_once);
        set(&mut script.allow_multiple_runs, again.as_ref());
        set(
            &mut script.roll_back_on_error,
            self.roll_back_on_error.as_ref(),
        );
        set(
            &mut script.causes_build_failure,
            self.causes_build_failure.as_ref(),
        );
    }
}

fn set<T: Clone>(field: &mut T, value: Option<&T>) {
    if let Some(value) = value {
        field.clone_from(value);
    }
}

/// Reads the file as far as it goes, and adds every fault in it.
pub(super) fn read(bytes: &[u8], faults: &mut Vec<Fault>) -> FolderSettings {
    let value = match serde_yaml::from_str::<Value>(&decode_text(bytes)) {
        Ok(value) => value,
        Err(error) => {
            faults.push(Fault::Yaml {
                reason: error.to_string(),
            });
            return FolderSettings::default();
        }
    };
    let mut keys = match value {
        Value::Null => return FolderSettings::default(),
        Value::Mapping(mapping) => Keys::new(mapping, format!("`{SETTINGS}`"), faults),
        other => {
            let reason = format!("it is {}; accepted are keys with values", shown(&other));
            faults.push(Fault::Yaml { reason });
            return FolderSettings::default();
        }
    };
    let scripts = keys.take("scripts");
    let rest = keys.word("rest", "`append` or `ignore`", |word| match word {
        "append" => Some(Rest::Append),
        "ignore" => Some(Rest::Ignore),
        _ => None,
    });
    if rest.is_some() && scripts.is_none() {
        keys.refuse("rest", "given", "`rest` only beside `scripts`");
    }
    let defaults = overrides(&mut keys);
    keys.refuse_unknown(&[&SCRIPT_KEYS[..], &TOP_KEYS[..]].concat());
    FolderSettings {
        defaults,
        scripts: scripts.map(|value| listed(&value, faults)),
        rest: rest.unwrap_or_default(),
    }
}

fn listed(value: &Value, faults: &mut Vec<Fault>) -> Vec<(String, Overrides)> {
    let Value::Sequence(entries) = value else {
        faults.push(Fault::Setting {
            place: format!("`{SETTINGS}`"),
            key: "scripts".into(),
            value: shown(value),
            accepted: "a list of file names, or of keys with `file` among them",
        });
        return Vec::new();
    };
    (1..)
        .zip(entries)
        .filter_map(|(position, entry)| listed_entry(position, entry, faults))
        .collect()
}

fn listed_entry(
    position: usize,
    entry: &Value,
    faults: &mut Vec<Fault>,
) -> Option<(String, Overrides)> {
    let place = format!("entry {position} of `scripts` in `{SETTINGS}`");
    let (name, overrides) = match entry {
        Value::String(name) => (Some(name.clone()), Overrides::default()),
        Value::Mapping(mapping) => {
            let mut keys = Keys::new(mapping.clone(), place, faults);
            if !mapping.contains_key(FILE_KEY) {
                keys.refuse(FILE_KEY, "missing", "the path of a file in this folder");
            }
            let name = keys.text(FILE_KEY);
            let overrides = overrides(&mut keys);
            keys.refuse_unknown(&[&[FILE_KEY], &SCRIPT_KEYS[..]].concat());
            (name, overrides)
        }
        other => {
            faults.push(Fault::Setting {
                place,
                key: FILE_KEY.into(),
                value: shown(other),
                accepted: "a file name, or keys with `file` among them",
            });
            (None, Overrides::default())
        }
    };
    let name = name?;
    if let Some(reason) = names::path_fault(&name) {
        faults.push(Fault::ListedName {
            value: name,
            reason,
        });
        return None;
    }
    Some((name, overrides))
}

fn overrides(keys: &mut Keys<'_>) -> Overrides {
    Overrides {
        database: keys.text("database"),
        timeout: keys.timeout("timeout"),
        strip_transactions: keys.flag("strip_transactions"),
        run_once: keys.flag("run_once"),
        roll_back_on_error: keys.flag("roll_back_on_error"),
        causes_build_failure: keys.flag("causes_build_failure"),
        tag: keys.text("tag"),
        description: keys.text("description"),
    }
}

/// The keys of one mapping that were not looked at yet.
struct Keys<'a> {
    mapping: Mapping,
    place: String,
    faults: &'a mut Vec<Fault>,
}

impl<'a> Keys<'a> {
    fn new(mapping: Mapping, place: String, faults: &'a mut Vec<Fault>) -> Self {
        Self {
            mapping,
            place,
            faults,
        }
    }

    fn take(&mut self, key: &str) -> Option<Value> {
        self.mapping.remove(key)
    }

    fn text(&mut self, key: &str) -> Option<String> {
        match self.take(key)? {
            Value::String(text) => Some(text),
            other => self.wrong(key, &other, "text (in quotes, when it looks like a number)"),
        }
    }

    fn flag(&mut self, key: &str) -> Option<bool> {
        match self.take(key)? {
            Value::Bool(flag) => Some(flag),
            other => self.wrong(key, &other, "`true` or `false`"),
        }
    }

    fn timeout(&mut self, key: &str) -> Option<Duration> {
        let value = self.take(key)?;
        match value
            .as_u64()
            .and_then(|seconds| u32::try_from(seconds).ok())
        {
            // The manifest of a staged package holds a signed 32-bit number.
            Some(seconds @ 1..=0x7FFF_FFFF) => Some(Duration::from_secs(seconds.into())),
            _ => self.wrong(
                key,
                &value,
                "a whole number of seconds from 1 to 2147483647",
            ),
        }
    }

    fn word<T>(
        &mut self,
        key: &str,
        accepted: &'static str,
        known: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let value = self.take(key)?;
        match value.as_str().and_then(known) {
            Some(word) => Some(word),
            None => self.wrong(key, &value, accepted),
        }
    }

    fn wrong<T>(&mut self, key: &str, value: &Value, accepted: &'static str) -> Option<T> {
        self.refuse(key, &shown(value), accepted);
        None
    }

    fn refuse(&mut self, key: &str, value: &str, accepted: &'static str) {
        self.faults.push(Fault::Setting {
            place: self.place.clone(),
            key: key.to_owned(),
            value: value.to_owned(),
            accepted,
        });
    }

    fn refuse_unknown(self, known: &[&str]) {
        for key in self.mapping.keys() {
            self.faults.push(Fault::UnknownKey {
                place: self.place.clone(),
                key: key.as_str().map_or_else(|| shown(key), str::to_owned),
                accepted: known.join(", "),
            });
        }
    }
}

/// A value in one short line.
fn shown(value: &Value) -> String {
    const MOST: usize = 60;
    let text = serde_yaml::to_string(value).unwrap_or_default();
    let line = text.trim().replace('\n', " ");
    match line
        .char_indices()
        .nth(MOST)
        .and_then(|(end, _)| line.get(..end))
    {
        Some(start) => format!("`{start}…`"),
        None => format!("`{line}`"),
    }
}
