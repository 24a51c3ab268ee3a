//! How to log in to the servers.

mod identity;

use secrecy::{ExposeSecret, SecretString};

use super::{LoginArguments, Source, file::document::MASK, reader::Reader};
use crate::{
    protocol::{Connection, IdentityKind, Platform, SslMode},
    secrets::SecretName,
};

/// The variable that holds the login name when no option does.
pub(super) const USERNAME_VARIABLE: &str = "SBM_USERNAME";
/// The variable that holds an access token of Entra ID, for SQL Server in place of name and password.
pub(super) const TOKEN_VARIABLE: &str = "SBM_ACCESS_TOKEN";

/// The connection, and apart from it the password, when there is one.
pub(super) fn read(
    reader: &mut Reader<'_>,
    typed: &LoginArguments,
    platform: Platform,
) -> (Connection, Option<SecretString>) {
    let token = token(reader, typed, platform);
    let given = typed.authtype.as_deref();
    let kind = auth_type(reader, given, platform, token.is_some());
    // An identity that is typed counts before a token that a variable holds.
    let token = token.filter(|_| kind.is_none());
    let user = match (&token, kind) {
        // The token says who logs in; a login without a name is how the engine knows.
        (Some(_), _) => record_token(reader),
        (None, Some(kind)) => identity::user(reader, typed, platform, kind),
        (None, None) => user(reader, typed, platform),
    };
    let ssl_mode = ssl_mode(reader, typed);
    let connection = Connection {
        user,
        identity: kind.map(|kind| identity::login(reader, kind)),
        ssl_mode,
        ssl_root_cert: ssl_root_cert(reader, typed, ssl_mode),
        connect_timeout: reader.seconds(
            "--connecttimeout",
            typed.connecttimeout.as_deref(),
            20,
            1..=3_600,
        ),
    };
    if platform == Platform::Sqlite {
        refuse_login(reader, typed);
        return (connection, None);
    }
    let password = match kind {
        Some(kind) => identity::refuse_password(reader, typed, kind),
        None => token.or_else(|| password(reader, typed)),
    };
    (connection, password)
}

/// Whether a name and a password log in. Faults are told by `read`.
pub(super) fn is_by_password(
    reader: &mut Reader<'_>,
    typed: &LoginArguments,
    platform: Platform,
) -> bool {
    let token = token(reader, typed, platform);
    let kind = auth_type(reader, typed.authtype.as_deref(), platform, token.is_some());
    platform != Platform::Sqlite && token.is_none() && kind.is_none()
}

/// The access token, unless options name a user. A name that only a variable or a file holds may be meant for other
/// commands.
fn token(reader: &Reader<'_>, typed: &LoginArguments, platform: Platform) -> Option<SecretString> {
    if platform != Platform::SqlServer || typed.username.is_some() || typed.password.is_some() {
        return None;
    }
    reader.variable(TOKEN_VARIABLE).map(SecretString::from)
}

/// Records that a token logs in, and no user.
fn record_token(reader: &mut Reader<'_>) -> Option<String> {
    reader.note("--username", None, "");
    let source = Source::Variable(TOKEN_VARIABLE.to_owned());
    reader.record("--password", Some(MASK.to_owned()), source);
    None
}

/// Knows the names of the reference program's types; which identity logs in, if one does. A token is that of an identity, so
/// with one a file may name such a type.
fn auth_type(
    reader: &mut Reader<'_>,
    given: Option<&str>,
    platform: Platform,
    has_token: bool,
) -> Option<IdentityKind> {
    let text = reader.given("--authtype", given, &"Password");
    // Where nobody logs in, a variable or a file is there for other commands.
    let text = text.filter(|_| given.is_some() || platform != Platform::Sqlite)?;
    let option = "--authtype";
    let name = text.trim().to_ascii_lowercase();
    match (identity::kind(&name), name.as_str()) {
        (Some(_), _) if has_token && given.is_none() => {}
        (Some(_), _) if platform == Platform::Sqlite => {
            let problem =
                "SQLite databases are files and know no login; leave it out, or use Password";
            reader.fault_unless_shown(option, &text, problem);
        }
        (Some(kind), _) => return Some(kind),
        (None, "password") => {}
        (None, "azureadpassword") => {
            let problem = "Entra ID gives programs no token for the password of a user; use AzureADDefault, \
                           ManagedIdentity or Password";
            reader.fault_unless_shown(option, &text, problem);
        }
        (None, other) => match needs_a_person(other) {
            Some(problem) => reader.fault_unless_shown(option, &text, problem),
            None => {
                let accepted = "accepted are Password, ManagedIdentity and AzureADDefault";
                reader.fault(option, Some(&text), accepted);
            }
        },
    }
    None
}

/// Why a type cannot be used where nobody sits, whatever the version.
pub(super) fn needs_a_person(name: &str) -> Option<&'static str> {
    match name.to_ascii_lowercase().as_str() {
        "windows" | "azureadintegrated" => Some(
            "needs a signed-in Windows user, which a build machine does not have; use Password, ManagedIdentity or \
             AzureADDefault",
        ),
        "azureadinteractive" => Some(
            "needs a person at a browser, and this program never asks; use Password, ManagedIdentity or AzureADDefault",
        ),
        _ => None,
    }
}

fn user(reader: &mut Reader<'_>, typed: &LoginArguments, platform: Platform) -> Option<String> {
    if platform == Platform::Sqlite {
        return None;
    }
    let given = typed.username.as_deref().map(SecretString::from);
    let user = reader.secret("--username", SecretName::UserName, given.as_ref());
    let user = user.and_then(|user| reader.check_text("--username", Some(user.expose_secret())));
    // Of a platform that was refused nothing more is asked, and a file that cannot be opened may hold the name.
    let asked = !["--platform", "--settingsfile", "--settingsfilekey"]
        .iter()
        .any(|option| reader.is_refused(option));
    if asked && user.is_none() && typed.username.is_none() {
        let token = match platform {
            Platform::SqlServer => format!(", or an access token in {TOKEN_VARIABLE}"),
            _ => String::new(),
        };
        let problem = format!(
            "needed for {platform}, here, in {USERNAME_VARIABLE} or in a settings file{token}"
        );
        reader.fault("--username", None, problem);
    }
    user
}

/// An empty password is none: some servers trust certain addresses.
fn password(reader: &mut Reader<'_>, typed: &LoginArguments) -> Option<SecretString> {
    reader
        .secret("--password", SecretName::Password, typed.password.as_ref())
        .filter(|password| !password.expose_secret().is_empty())
}

fn ssl_mode(reader: &mut Reader<'_>, typed: &LoginArguments) -> SslMode {
    let given = typed.sslmode.as_deref();
    let mode = reader.word("--sslmode", given, SslMode::default());
    let option = "--trustservercertificate";
    let trust = typed.trustservercertificate.as_deref();
    // Whoever types a mode or an authority wants the server verified so, whatever a file or a variable says.
    let wins = trust.is_none() && (given.is_some() || typed.sslrootcert.is_some());
    if !reader.flag(option, trust, false) || wins {
        return mode;
    }
    if matches!(
        mode,
        SslMode::VerifyCa | SslMode::VerifyFull | SslMode::Disable
    ) {
        let problem = format!(
            "contradicts --sslmode {}; leave one of the two out",
            mode.name()
        );
        reader.fault(option, trust, problem);
    }
    match mode {
        SslMode::Auto => SslMode::Require,
        mode => mode,
    }
}

fn ssl_root_cert(reader: &mut Reader<'_>, typed: &LoginArguments, mode: SslMode) -> Option<String> {
    let option = "--sslrootcert";
    let given = typed.sslrootcert.as_deref();
    let path = reader.text(option, given)?;
    if !std::path::Path::new(&path).is_file() {
        reader.fault(option, given, "no such file; accepted is a PEM file");
    }
    if matches!(mode, SslMode::Disable | SslMode::Prefer | SslMode::Require) {
        let problem = "used only with --sslmode auto, verify-ca or verify-full and without \
                       --trustservercertificate: these verify the server";
        reader.fault(option, given, problem);
    }
    Some(path)
}

/// What has no meaning for files is refused when it was typed; variables may be there for other commands.
fn refuse_login(reader: &mut Reader<'_>, typed: &LoginArguments) {
    let options = [
        ("--username", typed.username.is_some()),
        ("--password", typed.password.is_some()),
        ("--sslmode", typed.sslmode.is_some()),
        ("--sslrootcert", typed.sslrootcert.is_some()),
        (
            "--trustservercertificate",
            typed.trustservercertificate.is_some(),
        ),
    ];
    for (option, _) in options.into_iter().filter(|(_, typed)| *typed) {
        let problem = "SQLite databases are files and know no login; leave it out";
        reader.fault(option, None, problem);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWORD_VARIABLE: &str = "SBM_PASSWORD";

    type Login = (Connection, Option<SecretString>);

    fn login(
        change: impl FnOnce(&mut LoginArguments),
        platform: Platform,
    ) -> Result<Login, String> {
        let environment = |name: &str| match name {
            USERNAME_VARIABLE => Some("variable".to_owned()),
            PASSWORD_VARIABLE => Some("canary".to_owned()),
            _ => None,
        };
        let mut reader = Reader::new(&environment);
        let mut typed = LoginArguments::default();
        change(&mut typed);
        let login = read(&mut reader, &typed, platform);
        reader.finish().map_err(|faults| faults.to_string())?;
        Ok(login)
    }

    fn postgres(change: impl FnOnce(&mut LoginArguments)) -> Result<Login, String> {
        login(change, Platform::PostgreSql)
    }

    fn secret(login: &Login) -> Option<&str> {
        login.1.as_ref().map(ExposeSecret::expose_secret)
    }

    #[test]
    fn options_win_over_variables() {
        let from_variables = postgres(|_| {}).unwrap();
        assert_eq!(from_variables.0.user.as_deref(), Some("variable"));
        assert_eq!(secret(&from_variables), Some("canary"));
        let from_options = postgres(|typed| {
            typed.username = Some("option".into());
            typed.password = Some("".into());
        })
        .unwrap();
        assert_eq!(from_options.0.user.as_deref(), Some("option"));
        assert_eq!(secret(&from_options), None);
    }

    #[test]
    fn no_way_of_printing_shows_the_password() {
        let typed = LoginArguments {
            password: Some("canary".into()),
            ..LoginArguments::default()
        };
        assert!(!format!("{typed:?}").contains("canary"));
        assert!(!format!("{:?}", postgres(|_| {}).unwrap()).contains("canary"));
        let fault = login(|login| *login = typed, Platform::Sqlite).unwrap_err();
        assert!(
            fault.contains("--password") && !fault.contains("canary"),
            "{fault}"
        );
    }

    #[test]
    fn an_access_token_logs_in_to_sql_server_unless_options_name_a_user() {
        let read_with = |typed: &LoginArguments, token: &str, platform| {
            let token = token.to_owned();
            let environment = move |name: &str| match name {
                TOKEN_VARIABLE => Some(token.clone()),
                USERNAME_VARIABLE => Some("variable".to_owned()),
                _ => None,
            };
            let mut reader = Reader::new(&environment);
            let login = read(&mut reader, typed, platform);
            reader.finish().map(|()| login)
        };
        let nothing = LoginArguments::default();
        let login = read_with(&nothing, "canary", Platform::SqlServer).unwrap();
        assert_eq!(
            (login.0.user.as_deref(), secret(&login)),
            (None, Some("canary"))
        );
        assert!(!format!("{login:?}").contains("canary"));

        let named = LoginArguments {
            username: Some("option".into()),
            ..LoginArguments::default()
        };
        for (typed, platform) in [
            (&named, Platform::SqlServer),
            (&nothing, Platform::PostgreSql),
        ] {
            let login = read_with(typed, "canary", platform).unwrap();
            assert_eq!(secret(&login), None);
            assert!(login.0.user.is_some());
        }
    }

    #[test]
    fn postgres_needs_a_user_and_files_take_none() {
        let mut reader = Reader::new(&|_| None);
        read(
            &mut reader,
            &LoginArguments::default(),
            Platform::PostgreSql,
        );
        let fault = reader.finish().unwrap_err().to_string();
        assert!(
            fault.starts_with("--username: needed for PostgreSQL"),
            "{fault}"
        );

        let (connection, password) = login(|_| {}, Platform::Sqlite).unwrap();
        assert_eq!((connection.user, password.is_none()), (None, true));
        assert!(login(|typed| typed.username = Some("x".into()), Platform::Sqlite).is_err());
    }

    #[test]
    fn an_identity_logs_in_without_a_password() {
        for (name, kind) in [
            ("ManagedIdentity", IdentityKind::ManagedIdentity),
            ("azureaddefault", IdentityKind::AzureAdDefault),
        ] {
            let by = |typed: &mut LoginArguments| typed.authtype = Some(name.into());
            let (connection, password) = login(by, Platform::SqlServer).unwrap();
            assert_eq!(connection.identity.unwrap().kind, kind);
            assert_eq!((connection.user, password.is_none()), (None, true));
            // Elsewhere the name of the login is not in the token.
            let (connection, password) = postgres(by).unwrap();
            assert_eq!(connection.user.as_deref(), Some("variable"));
            assert!(password.is_none());
            let fault = postgres(|typed| {
                by(typed);
                typed.password = Some("canary".into());
            });
            let fault = fault.unwrap_err();
            assert!(
                fault.starts_with("--password: not used with --authtype"),
                "{fault}"
            );
            assert!(!fault.contains("canary"));
            assert!(login(by, Platform::Sqlite).is_err());
        }
        let fault = login(
            |typed| {
                typed.authtype = Some("ManagedIdentity".into());
                typed.username = Some("me".into());
            },
            Platform::SqlServer,
        );
        assert!(fault.unwrap_err().starts_with("--username `me`: not used"));
    }

    #[test]
    fn what_else_is_known_of_an_identity_comes_from_variables() {
        let environment = |name: &str| match name {
            "SBM_IDENTITYNAME" => Some("fleet-identity".to_owned()),
            "SBM_CLIENTID" => Some("client-1".to_owned()),
            "SBM_TENANTID" => Some("tenant-1".to_owned()),
            "SBM_ACCESS_TOKEN" => Some("canary".to_owned()),
            _ => None,
        };
        let mut reader = Reader::new(&environment);
        let typed = LoginArguments {
            authtype: Some("ManagedIdentity".into()),
            ..LoginArguments::default()
        };
        let (connection, password) = read(&mut reader, &typed, Platform::MySql);
        reader.finish().unwrap();
        assert_eq!(connection.user.as_deref(), Some("fleet-identity"));
        let identity = connection.identity.unwrap();
        assert_eq!(identity.client.as_deref(), Some("client-1"));
        assert_eq!(identity.tenant.as_deref(), Some("tenant-1"));
        assert!(password.is_none());
        let mut reader = Reader::new(&environment);
        let (connection, password) = read(&mut reader, &typed, Platform::SqlServer);
        assert!(connection.identity.is_some() && password.is_none());
    }

    #[test]
    fn login_types_are_known_by_name_and_refused_with_what_works() {
        assert!(postgres(|typed| typed.authtype = Some("PASSWORD".into())).is_ok());
        for name in [
            "AzureADPassword",
            "Windows",
            "AzureADIntegrated",
            "azureadinteractive",
            "Kerberos",
        ] {
            let fault = postgres(|typed| typed.authtype = Some(name.into())).unwrap_err();
            assert!(
                fault.contains(name) && fault.contains("Password"),
                "{fault}"
            );
        }
    }

    #[test]
    fn trusting_every_certificate_is_require_and_never_hides_a_stricter_wish() {
        let mode = |ssl: Option<&str>, trust: &str| {
            postgres(|typed| {
                typed.sslmode = ssl.map(str::to_owned);
                typed.trustservercertificate = Some(trust.into());
            })
            .map(|login| login.0.ssl_mode)
        };
        assert_eq!(mode(None, "true"), Ok(SslMode::Require));
        assert_eq!(mode(Some("auto"), "true"), Ok(SslMode::Require));
        assert_eq!(mode(None, "false"), Ok(SslMode::Auto));
        assert_eq!(mode(Some("prefer"), "true"), Ok(SslMode::Prefer));
        assert_eq!(mode(Some("Verify-Full"), "false"), Ok(SslMode::VerifyFull));
        for strict in ["verify-full", "verify-ca", "disable"] {
            assert!(mode(Some(strict), "true").is_err(), "{strict}");
        }
        assert!(mode(Some("none"), "false").is_err());
    }

    #[test]
    fn a_root_certificate_is_a_file_and_wants_a_mode_that_verifies() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let certificate = |path: &str, mode: Option<&str>| {
            postgres(|typed| {
                typed.sslrootcert = Some(path.into());
                typed.sslmode = mode.map(str::to_owned);
            })
        };
        let path = file.path().to_str().unwrap();
        let (connection, _) = certificate(path, Some("verify-ca")).unwrap();
        assert_eq!(connection.ssl_root_cert.as_deref(), Some(path));
        assert!(certificate(path, None).is_ok());
        assert!(certificate(path, Some("require")).is_err());
        assert!(certificate("/none.pem", None).is_err());
    }
}
