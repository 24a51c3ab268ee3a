//! `/{tenant}/oauth2/v2.0/token` with the grant `client_credentials`.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{self, Path};
use axum::{Form, Json};
use serde_json::{Value, json};

use super::refusal::Refusal;
use super::{Application, Directory, assertion};

/// The only kind of client assertion there is.
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// What the endpoints know.
#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) directory: Arc<Directory>,
    pub(super) base: String,
}

impl State {
    pub(super) fn check_tenant(&self, tenant: &str) -> Result<(), Refusal> {
        let known = self
            .directory
            .tenant()
            .to_string()
            .eq_ignore_ascii_case(tenant);
        if known {
            Ok(())
        } else {
            Err(Refusal::Tenant(tenant.to_owned()))
        }
    }
}

type Parameters = HashMap<String, String>;

pub(super) async fn answer(
    extract::State(state): extract::State<State>,
    Path(tenant): Path<String>,
    Form(parameters): Form<Parameters>,
) -> Result<Json<Value>, Refusal> {
    state.check_tenant(&tenant)?;
    let grant = required(&parameters, "grant_type")?;
    if grant != "client_credentials" {
        return Err(Refusal::Grant(grant.to_owned()));
    }
    let client = required(&parameters, "client_id")?;
    let application = state
        .directory
        .application(client)
        .ok_or_else(|| Refusal::Client(client.to_owned()))?;
    prove(&state.directory, &application, &parameters)?;
    let audience = audience(required(&parameters, "scope")?)?;
    let token = state
        .directory
        .issue(&application, &audience)
        .map_err(|_| Refusal::Server)?;
    Ok(Json(json!({
        "token_type": "Bearer",
        "expires_in": application.token_lifetime,
        "ext_expires_in": application.token_lifetime,
        "access_token": token,
    })))
}

/// A secret or an assertion has to show that it is the application that asks.
fn prove(
    directory: &Directory,
    application: &Application,
    parameters: &Parameters,
) -> Result<(), Refusal> {
    if let Some(secret) = parameters.get("client_secret") {
        return if *secret == application.secret {
            Ok(())
        } else {
            Err(Refusal::Secret)
        };
    }
    let text = required(parameters, "client_assertion")?;
    if required(parameters, "client_assertion_type")? != ASSERTION_TYPE {
        return Err(Refusal::Parameter("client_assertion_type"));
    }
    assertion::check(directory, application, text)
}

/// The resource of the one scope that is not about the sign-in itself.
fn audience(scopes: &str) -> Result<String, Refusal> {
    let mut resources = scopes
        .split_whitespace()
        .filter(|scope| scope.contains("://"));
    let (Some(scope), None) = (resources.next(), resources.next()) else {
        return Err(Refusal::Scope(scopes.to_owned()));
    };
    let resource = scope
        .strip_suffix("/.default")
        .ok_or_else(|| Refusal::Scope(scope.to_owned()))?;
    Ok(resource.to_owned())
}

fn required<'a>(parameters: &'a Parameters, name: &'static str) -> Result<&'a str, Refusal> {
    let value = parameters.get(name).map(String::as_str).unwrap_or_default();
    if value.is_empty() {
        Err(Refusal::Parameter(name))
    } else {
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_names_one_resource() {
        assert_eq!(
            audience("https://storage.azure.com/.default").unwrap(),
            "https://storage.azure.com"
        );
        assert_eq!(
            audience("https://servicebus.azure.net//.default").unwrap(),
            "https://servicebus.azure.net/"
        );
        assert_eq!(
            audience("openid profile https://vault.azure.net/.default").unwrap(),
            "https://vault.azure.net"
        );
        for scope in [
            "",
            "openid",
            "https://vault.azure.net",
            "https://a/.default https://b/.default",
        ] {
            assert_eq!(
                audience(scope),
                Err(Refusal::Scope(scope.into())),
                "{scope}"
            );
        }
    }

    #[test]
    fn an_application_has_to_prove_itself() {
        let directory = Directory::new().unwrap();
        let proved = |pairs: &[(&str, &str)]| {
            let parameters = pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect();
            prove(&directory, directory.standard(), &parameters)
        };
        assert_eq!(
            proved(&[("client_secret", &directory.standard().secret)]),
            Ok(())
        );
        assert_eq!(proved(&[("client_secret", "x")]), Err(Refusal::Secret));
        assert_eq!(proved(&[]), Err(Refusal::Parameter("client_assertion")));
        let assertion = [
            ("client_assertion", "x"),
            ("client_assertion_type", ASSERTION_TYPE),
        ];
        assert_eq!(proved(&assertion), Err(Refusal::Signature));
        assert_eq!(
            proved(&assertion[..1]),
            Err(Refusal::Parameter("client_assertion_type"))
        );
    }
}
