//! `settings`: what a command would use, and where each value comes from.

use clap::Subcommand;
use serde_json::json;

use super::print;
use crate::{
    Error, ExitCode,
    report::Output,
    settings::{Setting, ShowArguments, ShownSettings, process_environment},
};

#[derive(Debug, Subcommand)]
pub(super) enum SettingsCommand {
    /// Show every setting with its value and source: argument, variable, file, vault or default. Secrets are masked.
    #[command(
        after_help = "Example:\n  sbm settings show --settingsfile settings.json --concurrency 20"
    )]
    Show(Box<ShowArguments>),
}

pub(super) fn run(command: SettingsCommand) -> Result<ExitCode, Error> {
    match command {
        SettingsCommand::Show(typed) => {
            let shown = ShownSettings::new(&typed, &process_environment)?;
            print(&match shown.output {
                Output::Text => table(&shown.settings),
                Output::Json => document(&shown.settings),
            })?;
            Ok(ExitCode::Succeeded)
        }
    }
}

/// Three columns; a setting without a value has a hyphen.
fn table(settings: &[Setting]) -> String {
    let rows: Vec<[String; 3]> = settings
        .iter()
        .map(|setting| {
            let value = setting.value.as_deref().unwrap_or("-");
            let value = value.escape_debug().to_string();
            [setting.name.clone(), value, setting.source.to_string()]
        })
        .collect();
    let title = ["setting", "value", "source"].map(str::to_owned);
    let width = |column: usize| {
        let cells = rows
            .iter()
            .chain([&title])
            .filter_map(|row| row.get(column));
        cells
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or_default()
    };
    let (first, second) = (width(0), width(1));
    let lines = [&title].into_iter().chain(&rows);
    lines
        .map(|[name, value, source]| format!("{name:first$}  {value:second$}  {source}\n"))
        .collect()
}

fn document(settings: &[Setting]) -> String {
    let rows: Vec<_> = settings
        .iter()
        .map(|setting| {
            json!({
                "name": setting.name,
                "value": setting.value,
                "source": setting.source.kind(),
                "sourceName": setting.source.name(),
            })
        })
        .collect();
    format!("{:#}\n", json!({ "settings": rows }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Source;

    #[test]
    fn columns_stand_below_each_other_and_nothing_is_a_hyphen() {
        let setting = |name: &str, value: Option<&str>, source| Setting {
            name: name.into(),
            value: value.map(str::to_owned),
            source,
        };
        let settings = [
            setting("concurrency", Some("20"), Source::Argument),
            setting("x", None, Source::File("a.json".into())),
        ];
        let expected = "setting      value  source\n\
                        concurrency  20     argument\n\
                        x            -      file a.json\n";
        assert_eq!(table(&settings), expected);
        let document: serde_json::Value = serde_json::from_str(&document(&settings)).unwrap();
        assert_eq!(document["settings"][1]["value"], serde_json::Value::Null);
        assert_eq!(document["settings"][1]["sourceName"], "a.json");
    }
}
