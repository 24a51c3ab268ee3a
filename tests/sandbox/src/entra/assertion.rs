//! Federated credentials: tokens of others that stand for a secret.

use serde_json::Value;

use super::refusal::Refusal;
use super::{Application, Directory};
use crate::github_oidc;
use crate::tokens;

/// For whom such a token has to be.
pub(crate) const AUDIENCE: &str = "api://AzureADTokenExchange";

/// Checks signature, time, issuer, subject and audience, as Entra does.
pub(super) fn check(
    directory: &Directory,
    application: &Application,
    assertion: &str,
) -> Result<(), Refusal> {
    let claims = directory
        .outside()
        .verify(assertion)
        .map_err(|refusal| match refusal {
            tokens::Refusal::Time => Refusal::Expired,
            _ => Refusal::Signature,
        })?;
    let issuer = text(&claims, "iss");
    let trusted = trusted_subject(application, &issuer).ok_or(Refusal::Issuer(issuer))?;
    let audience = text(&claims, "aud");
    if audience != AUDIENCE {
        return Err(Refusal::Audience(audience));
    }
    let subject = text(&claims, "sub");
    if subject != trusted {
        Err(Refusal::Subject(subject))
    } else {
        Ok(())
    }
}

/// Which subject of an issuer the application trusts.
fn trusted_subject(application: &Application, issuer: &str) -> Option<String> {
    match issuer {
        github_oidc::ISSUER => Some(application.subject.clone()),
        github_oidc::PIPELINES_ISSUER => Some(github_oidc::pipelines_subject(application)),
        github_oidc::CLUSTER_ISSUER => Some(github_oidc::CLUSTER_SUBJECT.to_owned()),
        _ => None,
    }
}

/// The audience of a cluster's token is a list of one.
fn text(claims: &Value, name: &str) -> String {
    match &claims[name] {
        Value::String(text) => text.clone(),
        Value::Array(list) if list.len() == 1 => list[0].as_str().unwrap_or_default().to_owned(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::tokens::{Key, now};

    fn claims(application: &Application) -> Value {
        json!({ "iss": github_oidc::ISSUER, "sub": application.subject, "aud": AUDIENCE, "exp": now() + 300 })
    }

    fn checked(change: impl FnOnce(&mut Value)) -> Result<(), Refusal> {
        let directory = Directory::new().unwrap();
        let mut claims = claims(directory.standard());
        change(&mut claims);
        check(
            &directory,
            directory.standard(),
            &directory.outside().sign(&claims).unwrap(),
        )
    }

    #[test]
    fn an_assertion_that_fits_is_believed() {
        assert_eq!(checked(|_| ()), Ok(()));
        assert_eq!(checked(|claims| claims["aud"] = json!([AUDIENCE])), Ok(()));
    }

    #[test]
    fn an_assertion_is_refused_for_each_thing_that_does_not_fit() {
        assert_eq!(
            checked(|claims| claims["exp"] = json!(now() - 1)),
            Err(Refusal::Expired)
        );
        assert_eq!(
            checked(|claims| claims["iss"] = json!("https://x")),
            Err(Refusal::Issuer("https://x".into()))
        );
        assert_eq!(
            checked(|claims| claims["sub"] = json!("repo:x")),
            Err(Refusal::Subject("repo:x".into()))
        );
        assert_eq!(
            checked(|claims| claims["aud"] = json!("x")),
            Err(Refusal::Audience("x".into()))
        );
    }

    #[test]
    fn an_assertion_that_somebody_else_has_signed_is_refused() {
        let directory = Directory::new().unwrap();
        let forged = Key::generate()
            .unwrap()
            .sign(&claims(directory.standard()))
            .unwrap();
        assert_eq!(
            check(&directory, directory.standard(), &forged),
            Err(Refusal::Signature)
        );
    }
}
