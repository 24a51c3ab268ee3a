//! Logins of an identity, which has tokens in place of a password.

use secrecy::SecretString;

use super::LoginArguments;
use crate::{
    protocol::{IdentityKind, IdentityLogin, Platform},
    secrets::SecretName,
    settings::{file::member, reader::Reader},
};

/// The identity that a login type in small letters stands for.
pub(in crate::settings) fn kind(name: &str) -> Option<IdentityKind> {
    match name {
        "managedidentity" => Some(IdentityKind::ManagedIdentity),
        "azureaddefault" => Some(IdentityKind::AzureAdDefault),
        _ => None,
    }
}

fn name(kind: IdentityKind) -> &'static str {
    match kind {
        IdentityKind::ManagedIdentity => "ManagedIdentity",
        IdentityKind::AzureAdDefault => "AzureADDefault",
    }
}

/// Which identity, as far as variables and file say it.
pub(super) fn login(reader: &Reader<'_>, kind: IdentityKind) -> IdentityLogin {
    IdentityLogin {
        kind,
        client: beyond_options(reader, "clientid"),
        tenant: beyond_options(reader, "tenantid"),
    }
}

/// The name that logs in. SQL Server finds it in the token; elsewhere it is that of the identity, if nothing else is said.
pub(super) fn user(
    reader: &mut Reader<'_>,
    typed: &LoginArguments,
    platform: Platform,
    kind: IdentityKind,
) -> Option<String> {
    let option = "--username";
    let given = typed.username.as_deref();
    if platform == Platform::SqlServer {
        if let Some(user) = given {
            let problem = format!(
                "not used with --authtype {}: the token says who logs in",
                name(kind)
            );
            reader.fault(option, Some(user), problem);
        }
        reader.note(option, None, "");
        return None;
    }
    let given = given.map(SecretString::from);
    let user = reader.secret(option, SecretName::UserName, given.as_ref());
    let user = user.map(|user| secrecy::ExposeSecret::expose_secret(&user).to_owned());
    let user = user.or_else(|| beyond_options(reader, "identityname"));
    if user.is_none() {
        let problem = format!(
            "needed for {platform} with --authtype {}: the role of the identity, here, in SBM_USERNAME or SBM_IDENTITYNAME, or \
             in a settings file",
            name(kind)
        );
        reader.fault(option, None, problem);
    }
    reader.check_text(option, user.as_deref())
}

/// There is none, and one that is typed would have no effect.
pub(super) fn refuse_password(
    reader: &mut Reader<'_>,
    typed: &LoginArguments,
    kind: IdentityKind,
) -> Option<SecretString> {
    reader.note("--password", None, "");
    if typed.password.is_some() {
        let problem = format!(
            "not used with --authtype {}; leave one of the two out",
            name(kind)
        );
        reader.fault("--password", None, problem);
    }
    None
}

fn beyond_options(reader: &Reader<'_>, option: &str) -> Option<String> {
    let (text, _) = reader.beyond_options(member::of_option(option)?);
    text.map(|text| text.trim().to_owned())
        .filter(|text| !text.is_empty())
}
