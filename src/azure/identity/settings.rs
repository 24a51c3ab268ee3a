//! What the environment says about identities; it is read once.

use std::{collections::BTreeMap, fmt, time::Duration};

use azure_core::http::Transport;
use secrecy::{ExposeSecret, SecretString};

use crate::azure::{Cloud, UnknownCloud};

/// Where GitHub gives tokens to a workflow that may have them, and what to show there.
pub(super) const GITHUB_URL: &str = "ACTIONS_ID_TOKEN_REQUEST_URL";
pub(super) const GITHUB_TOKEN: &str = "ACTIONS_ID_TOKEN_REQUEST_TOKEN";
/// The same in Azure Pipelines, and the service connection in two spellings.
pub(super) const PIPELINES_URL: &str = "SYSTEM_OIDCREQUESTURI";
pub(super) const PIPELINES_TOKEN: &str = "SYSTEM_ACCESSTOKEN";
pub(super) const PIPELINES_CONNECTION: [&str; 2] = [
    "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID",
    "AZURE_SERVICE_CONNECTION_ID",
];
/// The file with the token of a service account in Kubernetes.
pub(super) const WORKLOAD_FILE: &str = "AZURE_FEDERATED_TOKEN_FILE";
pub(super) const CLIENT_SECRET: &str = "AZURE_CLIENT_SECRET";
/// Where a container gets tokens of its managed identity, and what to show there.
pub(super) const MANAGED_URL: &str = "IDENTITY_ENDPOINT";
pub(super) const MANAGED_HEADER: &str = "IDENTITY_HEADER";
/// The address of a machine's own metadata, where it is not the usual one.
pub(super) const METADATA_HOST: &str = "AZURE_POD_IDENTITY_AUTHORITY_HOST";
const AUTHORITY: &str = "AZURE_AUTHORITY_HOST";
const TENANT: &str = "AZURE_TENANT_ID";
const CLIENT: &str = "AZURE_CLIENT_ID";
const PIPELINES_TENANT: &str = "AZURESUBSCRIPTION_TENANT_ID";
const PIPELINES_CLIENT: &str = "AZURESUBSCRIPTION_CLIENT_ID";

const VARIABLES: [&str; 15] = [
    GITHUB_URL,
    GITHUB_TOKEN,
    PIPELINES_URL,
    PIPELINES_TOKEN,
    PIPELINES_CONNECTION[0],
    PIPELINES_CONNECTION[1],
    WORKLOAD_FILE,
    CLIENT_SECRET,
    MANAGED_URL,
    MANAGED_HEADER,
    METADATA_HOST,
    TENANT,
    CLIENT,
    PIPELINES_TENANT,
    PIPELINES_CLIENT,
];

/// A kind of identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A workflow of GitHub, for which an application or a managed identity has a federated credential.
    GitHub,
    /// A pod of Kubernetes with a service account of the same sort.
    Workload,
    /// A pipeline of Azure DevOps with a service connection of the same sort.
    Pipelines,
    /// An application with a secret.
    Secret,
    /// The identity that Azure has given to the machine or container.
    Managed,
    /// Whoever is logged in to Azure CLI.
    Cli,
}

impl Kind {
    /// All kinds, in the order in which they are tried.
    pub const ALL: [Self; 6] = [
        Self::GitHub,
        Self::Workload,
        Self::Pipelines,
        Self::Secret,
        Self::Managed,
        Self::Cli,
    ];

    /// Those that the reference program calls a managed identity.
    pub const MANAGED: [Self; 2] = [Self::Workload, Self::Managed];
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::GitHub => "GitHub OIDC",
            Self::Workload => "workload identity",
            Self::Pipelines => "Azure Pipelines",
            Self::Secret => "client secret",
            Self::Managed => "managed identity",
            Self::Cli => "Azure CLI",
        })
    }
}

/// Which identities are tried, and with what.
#[derive(Clone)]
pub struct IdentitySettings {
    /// The cloud whose Entra ID is asked.
    pub cloud: Cloud,
    /// The base URL of Entra ID, where it is not the cloud's.
    pub authority: Option<String>,
    /// The tenant of an application, where no variable names one.
    pub tenant: Option<String>,
    /// The managed identity, where a machine has several; the application, where no variable names one.
    pub client: Option<String>,
    /// What is tried, in this order.
    pub kinds: Vec<Kind>,
    /// The search path for Azure CLI, where it is not that of the process.
    pub cli_path: Option<String>,
    /// The way to Entra ID, where it is not the usual one.
    pub transport: Option<Transport>,
    /// How long the address that answers on every machine of Azure is tried on a machine that may be none.
    pub glance: Duration,
    /// How long each kind may take for a token.
    pub patience: Duration,
    variables: BTreeMap<&'static str, SecretString>,
}

impl IdentitySettings {
    /// Everything that is set up in the environment, in the order of [`Kind::ALL`].
    pub fn from_environment(
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, UnknownCloud> {
        let given = |name: &str| variable(name).filter(|text| !text.trim().is_empty());
        let found = VARIABLES.into_iter();
        let found = found.filter_map(|name| Some((name, given(name)?.into())));
        Ok(Self {
            cloud: Cloud::from_environment(variable)?,
            authority: given(AUTHORITY),
            tenant: None,
            client: None,
            kinds: Kind::ALL.to_vec(),
            cli_path: None,
            transport: None,
            glance: Duration::from_secs(1),
            patience: Duration::from_secs(100),
            variables: found.collect(),
        })
    }

    /// The value of a variable; the error says that it is missing.
    pub(super) fn secret(&self, name: &str) -> Result<&SecretString, String> {
        let found = self.variables.get(name);
        found.ok_or_else(|| format!("{name} is not set"))
    }

    pub(super) fn text(&self, name: &str) -> Result<&str, String> {
        self.secret(name).map(SecretString::expose_secret)
    }

    /// Tenant and client of an application.
    pub(super) fn application(&self) -> Result<(String, String), String> {
        // The settings file names the identity of workers; what is set up in the environment is nearer.
        let tenant = self.variable(&[TENANT, PIPELINES_TENANT]);
        let client = self.variable(&[CLIENT, PIPELINES_CLIENT]);
        let tenant = tenant.or_else(|| self.tenant.clone());
        let client = client.or_else(|| self.client.clone());
        match (tenant, client) {
            (Some(tenant), Some(client)) => Ok((tenant, client)),
            (None, _) => Err(format!(
                "no tenant is given, neither by option nor in {TENANT}"
            )),
            (_, None) => Err(format!(
                "no client is given, neither by option nor in {CLIENT}"
            )),
        }
    }

    /// The managed identity that is meant, where it is not the machine's only one.
    pub(super) fn managed_client(&self) -> Option<String> {
        self.client.clone().or_else(|| self.variable(&[CLIENT]))
    }

    fn variable(&self, names: &[&str]) -> Option<String> {
        let mut texts = names.iter().filter_map(|name| self.text(name).ok());
        texts.next().map(str::to_owned)
    }

    pub(super) fn authority(&self) -> String {
        let own = self.authority.as_deref();
        own.unwrap_or_else(|| self.cloud.authority()).to_owned()
    }
}

impl fmt::Debug for IdentitySettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdentitySettings")
            .field("cloud", &self.cloud)
            .field("authority", &self.authority)
            .field("tenant", &self.tenant)
            .field("client", &self.client)
            .field("kinds", &self.kinds)
            .field("variables", &self.variables.keys())
            .finish_non_exhaustive()
    }
}
