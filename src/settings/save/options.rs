//! Options made from the members of a settings file.

use std::{fmt, marker::PhantomData};

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use secrecy::{ExposeSecret, SecretString};

use crate::settings::{
    file::member::{self, Kind, Member},
    sources::secret,
};

/// Which options a command has.
pub trait Selection: Send + Sync + 'static {
    /// Their names, without hyphens.
    fn options() -> Vec<&'static str>;
}

/// What was typed of the options that `S` selects. It cannot be printed, because some of them are secrets.
pub struct MemberOptions<S> {
    typed: Vec<(&'static str, Vec<SecretString>)>,
    selection: PhantomData<S>,
}

impl<S> MemberOptions<S> {
    /// What was typed for an option, once per time that it was typed.
    pub(crate) fn all(&self, option: &str) -> Option<&[SecretString]> {
        self.typed
            .iter()
            .find(|(known, _)| *known == option)
            .map(|(_, values)| values.as_slice())
    }

    /// What was typed for an option, with commas when it was typed several times.
    pub(crate) fn get(&self, option: &str) -> Option<SecretString> {
        let texts: Vec<&str> = self
            .all(option)?
            .iter()
            .map(|value| value.expose_secret())
            .collect();
        Some(texts.join(",").into())
    }
}

impl<S> Default for MemberOptions<S> {
    fn default() -> Self {
        Self {
            typed: Vec::new(),
            selection: PhantomData,
        }
    }
}

impl<S> Clone for MemberOptions<S> {
    fn clone(&self) -> Self {
        Self {
            typed: self.typed.clone(),
            selection: PhantomData,
        }
    }
}

impl<S> fmt::Debug for MemberOptions<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.typed.iter().map(|(option, _)| option);
        f.debug_list().entries(names).finish()
    }
}

impl<S: Selection> FromArgMatches for MemberOptions<S> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut options = Self::default();
        options.update_from_arg_matches(matches)?;
        Ok(options)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.typed = S::options()
            .into_iter()
            .filter_map(|option| {
                let values = matches.get_many::<SecretString>(option)?;
                Some((option, values.cloned().collect()))
            })
            .collect();
        Ok(())
    }
}

impl<S: Selection> Args for MemberOptions<S> {
    fn augment_args(command: Command) -> Command {
        let members = S::options().into_iter().filter_map(member::of_option);
        members.fold(command, |command, member| command.arg(argument(member)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

fn argument(member: &'static Member) -> Arg {
    let is_secret = member.secret().is_some();
    let argument = Arg::new(member.option)
        .long(member.option)
        .aliases(member.aliases.iter().copied())
        .help(help(member))
        .help_heading(heading(member))
        .value_name(value_name(member.kind))
        .value_parser(secret)
        .allow_hyphen_values(is_secret)
        .action(ArgAction::Set);
    let argument = match member.short {
        Some(letter) => argument.short(letter),
        None => argument,
    };
    match member.kind {
        Kind::Flag { .. } => argument.num_args(0..=1).default_missing_value("true"),
        Kind::Words(_) => argument.action(ArgAction::Append),
        _ => argument,
    }
}

fn help(member: &Member) -> String {
    let default = match member.kind {
        Kind::Number { default, .. } => format!(" [default: {default}]"),
        Kind::Flag { default } => format!(" [default: {default}]"),
        Kind::Word(choices) | Kind::Words(choices) => match choices.first() {
            Some((_, first)) => format!(" [default: {first}]"),
            None => String::new(),
        },
        Kind::Secret(_) => format!(" [env: {}]", member.variable()),
        Kind::Text | Kind::Connection(_) => String::new(),
    };
    format!("{}{default}", member.help)
}

fn value_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Text | Kind::Connection(_) => "TEXT",
        Kind::Secret(_) => "SECRET",
        Kind::Number { .. } => "NUMBER",
        Kind::Flag { .. } => "BOOL",
        Kind::Word(_) | Kind::Words(_) => "WORD",
    }
}

fn heading(member: &Member) -> &'static str {
    match member.section {
        // It is said for several sections.
        _ if member.option == "subscriptionid" => "Azure",
        "AuthenticationArgs" => "Login",
        "BatchArgs" => "Azure Batch",
        "ConnectionArgs" => "Connections",
        "ContainerAppArgs" => "Azure Container Apps",
        "AciArgs" => "Azure Container Instances",
        "ContainerRegistryArgs" => "Image",
        "EventHubArgs" => "Events",
        "IdentityArgs" => "Identity",
        "KubernetesArgs" => "Kubernetes",
        "NetworkArgs" => "Network",
        _ => "Build",
    }
}
