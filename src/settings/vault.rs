//! The key vault that an option, a variable or the settings file names: what it has to be asked before settings are read, and
//! what it is given when they are saved.

use secrecy::SecretString;

use super::{
    Environment, JobPasswordArguments, LoginArguments, RunArguments, SettingsFileArguments, Source,
    file::member, login, reader::Reader,
};
use crate::secrets::SecretName;

pub(super) const VAULT_OPTION: &str = "--keyvaultname";

/// A key vault, and the identity that may use it as far as variables and file say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vault {
    /// Its name or its address.
    pub name: String,
    /// The client id of the identity.
    pub client: Option<String>,
    /// Its tenant.
    pub tenant: Option<String>,
}

/// What has to be asked of a key vault, because nothing that comes before it gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VaultQuestion {
    /// The vault.
    pub vault: Vault,
    /// The secrets.
    pub names: Vec<SecretName>,
}

/// Secrets that leave a settings file. The file may be saved without them when the vault has them all.
#[derive(Clone, Debug)]
pub struct ToVault {
    /// The vault.
    pub vault: Vault,
    /// The job under whose own names they are kept; none for the names that all share.
    pub job: Option<String>,
    /// The secrets.
    pub secrets: Vec<(SecretName, SecretString)>,
}

impl VaultQuestion {
    /// What a run has to ask; none when no vault is named or nothing is missing. Faults of the input are told by whoever
    /// reads the settings.
    pub fn of_run(typed: &RunArguments, environment: Environment<'_>) -> Option<Self> {
        let platform = typed.targets.platform.as_deref();
        Self::new(&typed.file, environment, |reader| {
            missing_login(reader, &typed.login, platform)
        })
    }

    /// What has to be asked for the workers of a job.
    pub fn of_password(typed: &JobPasswordArguments, environment: Environment<'_>) -> Option<Self> {
        Self::new(&typed.file, environment, |reader| {
            let has_token = reader.variable(login::TOKEN_VARIABLE).is_some();
            let asked = !has_token && typed.password.is_none();
            missing(reader, &[(asked, "--password", SecretName::Password)])
        })
    }

    fn new(
        file: &SettingsFileArguments,
        environment: Environment<'_>,
        missing: impl FnOnce(&mut Reader<'_>) -> Vec<SecretName>,
    ) -> Option<Self> {
        let mut reader = Reader::new(environment);
        reader.open_file(file);
        let name = name(&mut reader, file.keyvaultname.as_deref())?;
        let names = missing(&mut reader);
        let vault = Vault::new(&reader, name);
        (!names.is_empty()).then_some(Self { vault, names })
    }
}

impl Vault {
    pub(super) fn new(reader: &Reader<'_>, name: String) -> Self {
        let said = |option| {
            let (text, _) = reader.beyond_options(member::of_option(option)?);
            text.filter(|text| !text.trim().is_empty())
        };
        Self {
            name,
            client: said("clientid"),
            tenant: said("tenantid"),
        }
    }
}

/// The vault that is named, if its name is one.
pub(super) fn name(reader: &mut Reader<'_>, typed: Option<&str>) -> Option<String> {
    let member = member::of_option("keyvaultname")?;
    let (text, source) = match typed {
        Some(text) => (Some(text.to_owned()), Source::Argument),
        None => reader.beyond_options(member),
    };
    let text = text.filter(|text| !text.trim().is_empty());
    let Some(text) = text else {
        reader.note(VAULT_OPTION, None, "");
        return None;
    };
    reader.record(VAULT_OPTION, Some(text.clone()), source);
    let name = text.trim();
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let is_name = (3..=24).contains(&name.len()) && name.bytes().all(letters);
    if is_name || name.starts_with("https://") {
        return Some(name.to_owned());
    }
    let problem = "accepted are the name of a key vault (3 to 24 letters, digits and dashes) and its address with https";
    reader.fault(VAULT_OPTION, Some(&text), problem);
    None
}

/// Name and password, unless somebody else logs in, or nobody.
fn missing_login(
    reader: &mut Reader<'_>,
    typed: &LoginArguments,
    platform: Option<&str>,
) -> Vec<SecretName> {
    let platform = reader.platform(platform);
    if !login::is_by_password(reader, typed, platform) {
        return Vec::new();
    }
    missing(
        reader,
        &[
            (typed.username.is_none(), "--username", SecretName::UserName),
            (typed.password.is_none(), "--password", SecretName::Password),
        ],
    )
}

/// Those that are asked for and that neither a variable nor the file gives.
fn missing(reader: &mut Reader<'_>, asked: &[(bool, &str, SecretName)]) -> Vec<SecretName> {
    let mut names = Vec::new();
    for (_, option, name) in asked.iter().filter(|(asked, _, _)| *asked) {
        let variable = member::variable(option);
        if reader.secret_beyond_options(&variable, *name).1 == Source::Default {
            names.push(*name);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(
        change: impl FnOnce(&mut RunArguments),
        variables: &[(&str, &str)],
    ) -> Option<VaultQuestion> {
        let mut typed = RunArguments::default();
        typed.file.keyvaultname = Some("fleet-vault".into());
        change(&mut typed);
        let environment = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        VaultQuestion::of_run(&typed, &environment)
    }

    #[test]
    fn a_vault_is_asked_for_what_nothing_else_gives() {
        use SecretName::{Password, UserName};
        assert_eq!(ask(|_| {}, &[]).unwrap().names, [UserName, Password]);
        let named = ask(|typed| typed.login.username = Some("me".into()), &[]);
        assert_eq!(named.unwrap().names, [Password]);
        let variables = [
            ("SBM_PASSWORD", "p"),
            ("SBM_CLIENTID", "c"),
            ("SBM_USERNAME", ""),
        ];
        let question = ask(|_| {}, &variables).unwrap();
        assert_eq!(question.names, [UserName]);
        assert_eq!(question.vault.client.as_deref(), Some("c"));
        let in_variable = ask(
            |typed| typed.file.keyvaultname = None,
            &[("SBM_KEYVAULTNAME", "other-vault")],
        );
        assert_eq!(in_variable.unwrap().vault.name, "other-vault");
    }

    #[test]
    fn nobody_is_asked_where_no_password_is_used() {
        let login = |name: &'static str| {
            move |typed: &mut RunArguments| typed.login.authtype = Some(name.into())
        };
        assert_eq!(ask(login("ManagedIdentity"), &[]), None);
        assert_eq!(ask(|_| {}, &[("SBM_ACCESS_TOKEN", "t")]), None);
        assert_eq!(
            ask(|typed| typed.targets.platform = Some("SQLite".into()), &[]),
            None
        );
        assert_eq!(ask(|typed| typed.file.keyvaultname = None, &[]), None);
        assert_eq!(
            ask(
                |typed| typed.file.keyvaultname = Some("no vault".into()),
                &[]
            ),
            None
        );
        let given = [("SBM_USERNAME", "u"), ("SBM_PASSWORD", "p")];
        assert_eq!(ask(|_| {}, &given), None);
    }
}
