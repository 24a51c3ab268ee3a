//! The backends whose settings can be saved: which options each has, and which members its files keep.

use super::options::Selection;
use crate::settings::file::member::Member;

/// A backend, as `savesettings` knows it.
pub trait Backend: Selection {
    /// The name of its commands.
    const NAME: &'static str;
    /// The options without which its files are of no use.
    const NEEDED: &'static [&'static str] = &[];

    /// Whether its files keep what belongs to this section.
    fn keeps_section(section: &str) -> bool;

    /// Whether its files keep this member of a section that they keep.
    fn keeps_member(section: &str, name: &str) -> bool;
}

/// Whether the files of a backend keep a member.
pub(crate) fn keeps<B: Backend>(member: &Member) -> bool {
    B::keeps_section(member.section) && B::keeps_member(member.section, member.name)
}

/// What every backend has: login, connections, events, concurrency and builds.
const COMMON: &[&str] = &[
    "username",
    "password",
    "authtype",
    "platform",
    "trustservercertificate",
    "keyvaultname",
    "servicebustopicconnection",
    "eventhubconnection",
    "storageaccountname",
    "storageaccountkey",
    "relayproxyendpoint",
    "eventhubresourcegroup",
    "eventhubsubscriptionid",
    "eventhublogging",
    "subscriptionid",
    "registryserver",
    "imagename",
    "imagetag",
    "identityname",
    "clientid",
    "identityresourcegroup",
    "tenantid",
    "concurrency",
    "concurrencytype",
    "timeoutretrycount",
    "defaultscripttimeout",
    "rootloggingpath",
];
const REGISTRY_LOGIN: &[&str] = &["registryusername", "registrypassword"];
const NETWORK: &[&str] = &["vnetname", "subnetname", "vnetresourcegroup"];
const APP: &[&str] = &[
    "environmentname",
    "resourcegroup",
    "location",
    "maxcontainers",
];
const BATCH: &[&str] = &[
    "batchresourcegroup",
    "batchnodecount",
    "batchvmsize",
    "deletebatchpool",
    "deletebatchjob",
    "pollbatchpoolstatus",
    "poolname",
    "batchpoolos",
    "batchjobmonitortimeout",
    "batchaccountname",
    "batchaccountkey",
    "batchaccounturl",
    "principalid",
];

fn is_batch_account(section: &str, name: &str) -> bool {
    section == "ConnectionArgs" && name.starts_with("BatchAccount")
}

/// Azure Container Apps.
#[derive(Clone, Copy, Debug)]
pub enum ContainerApp {}

impl Selection for ContainerApp {
    fn options() -> Vec<&'static str> {
        [COMMON, APP, REGISTRY_LOGIN].concat()
    }
}

impl Backend for ContainerApp {
    const NAME: &'static str = "containerapp";

    fn keeps_section(section: &str) -> bool {
        !["BatchArgs", "NetworkArgs", "AciArgs", "KubernetesArgs"].contains(&section)
    }

    fn keeps_member(section: &str, name: &str) -> bool {
        !is_batch_account(section, name) && name != "PrincipalId"
    }
}

/// Kubernetes, whose workers have the identity of a service account.
#[derive(Clone, Copy, Debug)]
pub enum Kubernetes {}

impl Selection for Kubernetes {
    fn options() -> Vec<&'static str> {
        [COMMON, &["podcount", "serviceaccountname"]].concat()
    }
}

impl Backend for Kubernetes {
    const NAME: &'static str = "k8s";

    fn keeps_section(section: &str) -> bool {
        !["BatchArgs", "NetworkArgs", "AciArgs", "ContainerAppArgs"].contains(&section)
    }

    fn keeps_member(section: &str, name: &str) -> bool {
        match section {
            "IdentityArgs" => ["IdentityName", "TenantId", "ServiceAccountName"].contains(&name),
            "ContainerRegistryArgs" => !["RegistryUserName", "RegistryPassword"].contains(&name),
            _ => !is_batch_account(section, name),
        }
    }
}

/// Azure Container Instances.
#[derive(Clone, Copy, Debug)]
pub enum Aci {}

impl Selection for Aci {
    fn options() -> Vec<&'static str> {
        [
            COMMON,
            &["aciname", "aciresourcegroup"],
            REGISTRY_LOGIN,
            NETWORK,
        ]
        .concat()
    }
}

impl Backend for Aci {
    const NAME: &'static str = "aci";
    const NEEDED: &'static [&'static str] = &["aciname", "aciresourcegroup"];

    fn keeps_section(section: &str) -> bool {
        !["BatchArgs", "KubernetesArgs", "ContainerAppArgs"].contains(&section)
    }

    fn keeps_member(section: &str, name: &str) -> bool {
        !is_batch_account(section, name) && name != "PrincipalId"
    }
}

/// Azure Batch.
#[derive(Clone, Copy, Debug)]
pub enum Batch {}

impl Selection for Batch {
    fn options() -> Vec<&'static str> {
        [COMMON, BATCH, REGISTRY_LOGIN, NETWORK].concat()
    }
}

impl Backend for Batch {
    const NAME: &'static str = "batch";

    fn keeps_section(section: &str) -> bool {
        !["AciArgs", "ContainerAppArgs", "KubernetesArgs"].contains(&section)
    }

    fn keeps_member(_: &str, _: &str) -> bool {
        true
    }
}
