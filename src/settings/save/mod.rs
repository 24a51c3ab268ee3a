//! `savesettings`: options → settings file, in the reference program's form.
//!
//! What an existing file says stays, unless an option says otherwise. Nothing secret is written that is not encrypted.

#![expect(
    clippy::doc_markdown,
    reason = "help texts are made of these comments and show their backticks"
)]

mod backend;
mod options;
mod saver;
#[cfg(test)]
mod tests;
mod value;

use std::path::Path;

use clap::Args;
use secrecy::SecretString;

pub(crate) use options::{MemberOptions, Selection};

pub use backend::{Aci, Backend, Batch, ContainerApp, Kubernetes};

use super::{Environment, Faults, SettingsFile, ToVault, reader::Reader, sources::secret};
use saver::Saver;

/// The options of `savesettings`, as typed.
#[derive(Args, Clone, Debug)]
pub struct SaveArguments<B: Selection> {
    /// The file.
    #[command(flatten)]
    pub file: SavedFileArguments,
    /// What it will say.
    #[command(flatten)]
    members: MemberOptions<B>,
}

/// The file that is saved.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Settings file")]
pub struct SavedFileArguments {
    /// The file to write. What it says already stays, unless an option says otherwise.
    #[arg(long, value_name = "FILE")]
    pub settingsfile: Option<String>,
    /// Key for its secrets, 16 characters or more, or the path of a file with the key. Prefer the variable
    /// [env: SBM_SETTINGSFILEKEY].
    #[arg(long, value_name = "KEY", value_parser = secret, allow_hyphen_values = true)]
    pub settingsfilekey: Option<SecretString>,
    /// Change a file that exists; it is an error otherwise [default: false].
    #[arg(long, alias = "force", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub silent: Option<String>,
    /// Encrypt nothing; refused when there are secrets, which are never saved so [default: false].
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub cleartext: Option<String>,
    /// Has no place in a file.
    #[arg(long, hide = true, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub stream: Option<String>,
    /// Has no place in a file: it is made from the other options of the identity.
    #[arg(long, hide = true, value_name = "TEXT")]
    pub resourceid: Option<String>,
    /// Job under whose own names the key vault keeps the secrets, so that no other job's take their place [default: none, and
    /// all jobs of the vault share them].
    #[arg(long, value_name = "NAME")]
    pub jobname: Option<String>,
}

/// What is to be saved, where.
#[derive(Clone, Debug)]
pub struct Saved {
    /// The file, complete but not written yet.
    pub file: SettingsFile,
    /// The secrets that the file has no more, and that a vault must have before it is written.
    pub to_vault: Option<ToVault>,
}

/// What the options mean. Nothing is written yet.
pub fn save<B: Backend>(
    typed: &SaveArguments<B>,
    environment: Environment<'_>,
) -> Result<Saved, Faults> {
    let mut reader = Reader::new(environment);
    let file = open(&mut reader, &typed.file);
    let clear = reader.flag("--cleartext", typed.file.cleartext.as_deref(), false);
    if typed.file.stream.is_some() || typed.file.resourceid.is_some() {
        log::warn!("--stream and --resourceid have no place in a settings file and are not saved");
    }
    let mut saver = Saver::<B>::new(&mut reader, file);
    saver.take(&typed.members);
    saver.leave_out();
    saver.check();
    let to_vault = saver.take_out(typed.file.jobname.as_deref());
    saver.encrypt(clear);
    let file = saver.complete();
    reader.finish()?;
    Ok(Saved { file, to_vault })
}

fn open(reader: &mut Reader<'_>, typed: &SavedFileArguments) -> SettingsFile {
    let option = "--settingsfile";
    let given = typed.settingsfile.as_deref();
    let silent = reader.flag("--silent", typed.silent.as_deref(), false);
    let key = reader.settings_key(typed.settingsfilekey.as_ref());
    if given.is_none() {
        reader.fault(option, None, "needed: the file to write");
    }
    let path = reader.text(option, given).unwrap_or_default();
    let path = Path::new(&path);
    if !path.exists() {
        return SettingsFile::new(path, key);
    }
    if !silent {
        let problem = "exists already; give another name, or --silent (the same as --force) to change what the \
                       options say and keep the rest";
        reader.fault(option, given, problem);
    }
    SettingsFile::open(path, key.clone(), false).unwrap_or_else(|faults| {
        for fault in faults {
            reader.keep(option, fault);
        }
        SettingsFile::new(path, key)
    })
}
