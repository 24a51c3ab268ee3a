//! `settings show`: every setting, its value and where it comes from.

use clap::Args;
use secrecy::{ExposeSecret, SecretString};

use super::{
    BuildArguments, Environment, Faults, Setting, Source,
    file::{
        document::MASK,
        is_secret,
        member::{MEMBERS, Member},
    },
    reader::Reader,
    run,
    save::{MemberOptions, Selection},
};
use crate::report::Output;

/// The options of `settings show`: those of `build`, and those of other commands that a settings file can hold.
#[derive(Args, Clone, Debug, Default)]
pub struct ShowArguments {
    /// The options of `build`, which has all of `threaded run`.
    #[command(flatten)]
    pub build: BuildArguments,
    /// What else a settings file can hold.
    #[command(flatten)]
    pub others: MemberOptions<OtherSettings>,
}

/// The options of members that builds on this machine have no use for.
#[derive(Clone, Copy, Debug)]
pub enum OtherSettings {}

/// The options of `build` that a settings file can hold.
const OF_BUILD: [&str; 11] = [
    "username",
    "password",
    "authtype",
    "platform",
    "trustservercertificate",
    "concurrency",
    "concurrencytype",
    "timeoutretrycount",
    "defaultscripttimeout",
    "rootloggingpath",
    "keyvaultname",
];

impl Selection for OtherSettings {
    fn options() -> Vec<&'static str> {
        let mut options: Vec<&str> = MEMBERS
            .iter()
            .map(|member| member.option)
            .filter(|option| !option.is_empty() && !OF_BUILD.contains(option))
            .collect();
        options.sort_unstable();
        options.dedup();
        options
    }
}

/// Every setting of a build, and what else somebody has set.
#[derive(Clone, Debug)]
pub struct ShownSettings {
    /// The settings: those of a build in the order in which they are read, then others in the order of the file.
    pub settings: Vec<Setting>,
    /// What goes to standard output.
    pub output: Output,
}

impl ShownSettings {
    /// Finds the value of each setting as a build would. What a build needs and nobody gave is no fault here.
    pub fn new(typed: &ShowArguments, environment: Environment<'_>) -> Result<Self, Faults> {
        let mut reader = Reader::new(environment);
        let output = run::survey(&mut reader, &typed.build);
        for member in MEMBERS {
            if !OF_BUILD.contains(&member.option) {
                other(&mut reader, member, &typed.others);
            }
        }
        let settings = reader.finish_given()?;
        Ok(Self { settings, output })
    }
}

/// Records a setting that a build has no use for, when it is set.
fn other(reader: &mut Reader<'_>, member: &Member, typed: &MemberOptions<OtherSettings>) {
    let (value, source) = match typed.get(member.option) {
        Some(value) => (Some(value), Source::Argument),
        None => match member.secret() {
            Some(name) => reader.secret_beyond_options(&member.variable(), name),
            None => {
                let (text, source) = reader.beyond_options(member);
                (text.map(SecretString::from), source)
            }
        },
    };
    let shown = match (&value, member.secret()) {
        (Some(value), None) => value.expose_secret().to_owned(),
        (Some(value), Some(_)) if !is_secret(member, value) => value.expose_secret().to_owned(),
        (Some(_), Some(_)) => MASK.to_owned(),
        // Encrypted, and there is no key.
        (None, Some(_)) if source != Source::Default => MASK.to_owned(),
        (None, _) => return,
    };
    reader.record(&name(member, &source), Some(shown), source);
}

/// The option, unless it stands for several members of which the file gives this one.
fn name(member: &Member, source: &Source) -> String {
    let of_file = matches!(source, Source::File(_));
    match member.option {
        "" => member.path(),
        "subscriptionid" if of_file => member.path(),
        option => option.to_owned(),
    }
}
