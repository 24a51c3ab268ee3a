//! Which databases come first, and what has to hold before more follow.

use std::time::Duration;

use super::WaveArguments;
use crate::{plan::Waves, protocol::Platform, query::Question, settings::reader::Reader};

/// The waves, how long each is waited after, and what is asked then.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct InWaves {
    pub(super) waves: Option<Waves>,
    pub(super) soak: Duration,
    pub(super) probe: Option<String>,
}

const UNUSED: &str = "used only with --waves, which says how many databases come first";

pub(super) fn read(reader: &mut Reader<'_>, typed: &WaveArguments, platform: Platform) -> InWaves {
    let waves = waves(reader, typed.waves.as_deref());
    let soak = reader.seconds("--soak", typed.soak.as_deref(), 0, 0..=604_800);
    let probe = probe(reader, typed.probe.as_deref(), platform);
    if typed.waves.is_none() {
        // A value that is wrong, too, is of no use either: both are told.
        if !soak.is_zero() || reader.is_refused("--soak") {
            reader.fault("--soak", typed.soak.as_deref(), UNUSED);
        }
        if typed.probe.is_some() {
            reader.fault("--probe", None, UNUSED);
        }
    }
    InWaves { waves, soak, probe }
}

fn waves(reader: &mut Reader<'_>, given: Option<&str>) -> Option<Waves> {
    reader.note("--waves", given, "");
    match given?.parse() {
        Ok(waves) => Some(waves),
        Err(problem) => {
            reader.fault("--waves", given, problem);
            None
        }
    }
}

/// What only reads can be told by its words, but not whether a database understands it.
fn probe(reader: &mut Reader<'_>, given: Option<&str>, platform: Platform) -> Option<String> {
    reader.note("--probe", given, "");
    let text = given?;
    if reader.is_refused("--platform") {
        return Some(text.to_owned());
    }
    match Question::new("--probe".to_owned(), text.to_owned(), platform) {
        Ok(question) => Some(question.text),
        Err(problem) => {
            reader.fault("--probe", None, problem);
            None
        }
    }
}
