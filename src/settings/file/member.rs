//! Everything that a settings file can hold, in the order in which it is written.
//!
//! One row per member. Reading, writing, saving, the options of `savesettings` and what `settings show` lists all come
//! from these rows.

use crate::secrets::SecretName;

/// One member of a settings file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Member {
    /// The object that holds it; empty at the top.
    pub(crate) section: &'static str,
    /// Its name there.
    pub(crate) name: &'static str,
    /// What it takes.
    pub(crate) kind: Kind,
    /// The option that says the same, without hyphens. `subscriptionid` says it for several members.
    pub(crate) option: &'static str,
    /// Other names of the option.
    pub(crate) aliases: &'static [&'static str],
    /// Its name of one letter.
    pub(crate) short: Option<char>,
    /// The help text of the option.
    pub(crate) help: &'static str,
}

/// What a member takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Any text.
    Text,
    /// A text that is encrypted.
    Secret(SecretName),
    /// A connection string, which is encrypted; or the mere name of a namespace, which is not.
    Connection(SecretName),
    /// A whole number.
    Number {
        /// What counts when nothing is given.
        default: i32,
        /// The least that can be saved.
        least: i32,
        /// The most that can be saved: what the commands that read it accept.
        most: i32,
    },
    /// True or false.
    Flag {
        /// What counts when nothing is given.
        default: bool,
    },
    /// One of these words; the first counts when nothing is given.
    Word(&'static [Choice]),
    /// Any of these words; the first counts when none is given.
    Words(&'static [Choice]),
}

/// The number and the word of a choice; a file may hold either.
pub(crate) type Choice = (u8, &'static str);

/// The words of some choices, in their order.
pub(crate) fn words(choices: &[Choice]) -> Vec<&'static str> {
    choices.iter().map(|(_, word)| *word).collect()
}

impl Member {
    const fn new(
        section: &'static str,
        name: &'static str,
        kind: Kind,
        option: &'static str,
        help: &'static str,
    ) -> Self {
        Self {
            section,
            name,
            kind,
            option,
            aliases: &[],
            short: None,
            help,
        }
    }

    const fn alias(self, aliases: &'static [&'static str]) -> Self {
        Self { aliases, ..self }
    }

    const fn short(self, letter: char) -> Self {
        Self {
            short: Some(letter),
            ..self
        }
    }

    /// The place of the member in the file, as the user finds it.
    pub(crate) fn path(&self) -> String {
        match self.section {
            "" => self.name.to_owned(),
            section => format!("{section}.{}", self.name),
        }
    }

    /// The name of the secret, when it is one.
    pub(crate) fn secret(&self) -> Option<SecretName> {
        match self.kind {
            Kind::Secret(name) | Kind::Connection(name) => Some(name),
            _ => None,
        }
    }

    /// The variable that says the same as the option.
    pub(crate) fn variable(&self) -> String {
        variable(self.option)
    }
}

/// The variable that says the same as an option of this name.
pub(crate) fn variable(option: &str) -> String {
    let name = option.trim_start_matches('-').to_uppercase();
    format!("SBM_{}", name.replace('-', "_"))
}

/// The first member that `option` sets; hyphens before the name do not matter.
pub(crate) fn of_option(option: &str) -> Option<&'static Member> {
    let option = option.trim_start_matches('-');
    MEMBERS.iter().find(|member| member.option == option)
}

/// The member that holds a secret.
pub(crate) fn of_secret(name: SecretName) -> Option<&'static Member> {
    MEMBERS.iter().find(|member| member.secret() == Some(name))
}

const TEXT: Kind = Kind::Text;
const AUTHENTICATION: Kind = Kind::Word(&[
    (0, "Password"),
    (1, "Windows"),
    (2, "AzureADIntegrated"),
    (3, "ManagedIdentity"),
    (4, "AzureADInteractive"),
    (5, "AzureADDefault"),
]);
const PLATFORM: Kind = Kind::Word(&[(0, "SqlServer"), (1, "PostgreSQL"), (2, "MySQL")]);
const CONCURRENCY: Kind = Kind::Word(&[
    (0, "Count"),
    (1, "Server"),
    (2, "MaxPerServer"),
    (3, "Tag"),
    (4, "MaxPerTag"),
]);
// The default is not the first of the reference program's numbers.
const POOL_SYSTEM: Kind = Kind::Word(&[(1, "Linux"), (0, "Windows")]);
// Flags, so that the numbers are powers of two.
const LOGGING: Kind = Kind::Words(&[
    (0, "EssentialOnly"),
    (1, "VerboseMessages"),
    (2, "IndividualScriptResults"),
    (4, "ConsolidatedScriptResults"),
    (8, "ScriptErrors"),
]);
const fn number(default: i32, least: i32, most: i32) -> Kind {
    Kind::Number {
        default,
        least,
        most,
    }
}
/// A number that no command of this version reads.
const fn count(default: i32) -> Kind {
    number(default, 1, i32::MAX)
}
const fn flag(default: bool) -> Kind {
    Kind::Flag { default }
}

/// Every member.
#[rustfmt::skip]
pub(crate) static MEMBERS: &[Member] = &[
    Member::new("AuthenticationArgs", "UserName", Kind::Secret(SecretName::UserName), "username",
        "Login name of the database servers").short('u'),
    Member::new("AuthenticationArgs", "Password", Kind::Secret(SecretName::Password), "password",
        "Its password. Other users of the machine may see command lines: prefer the variable").short('p'),
    Member::new("AuthenticationArgs", "AuthenticationType", AUTHENTICATION, "authtype",
        "How to prove who logs in: Password, ManagedIdentity or AzureADDefault"),
    Member::new("AuthenticationArgs", "DatabasePlatform", PLATFORM, "platform",
        "Kind of the database servers: SqlServer, PostgreSQL or MySQL").alias(&["databaseplatform"]),
    Member::new("AuthenticationArgs", "TrustServerCertificate", flag(false), "trustservercertificate",
        "Trust whatever certificate a server shows").alias(&["trustcert"]),

    Member::new("BatchArgs", "ResourceGroup", TEXT, "batchresourcegroup",
        "Resource group of the Batch account").alias(&["batchrg"]),
    Member::new("BatchArgs", "BatchNodeCount", count(10), "batchnodecount",
        "How many nodes the pool has").alias(&["nodecount"]),
    Member::new("BatchArgs", "BatchVmSize", TEXT, "batchvmsize",
        "Size of the nodes").alias(&["vmsize"]),
    Member::new("BatchArgs", "DeleteBatchPool", flag(false), "deletebatchpool",
        "Remove the pool after a run"),
    Member::new("BatchArgs", "DeleteBatchJob", flag(true), "deletebatchjob",
        "Remove the job after a run"),
    Member::new("BatchArgs", "PollBatchPoolStatus", flag(true), "pollbatchpoolstatus",
        "Wait for the nodes of the pool").alias(&["poll"]),
    Member::new("BatchArgs", "BatchPoolName", TEXT, "poolname",
        "Name of the pool").alias(&["batchpoolname"]),
    Member::new("BatchArgs", "BatchPoolOs", POOL_SYSTEM, "batchpoolos",
        "Operating system of the nodes: Linux or Windows").alias(&["os"]),
    Member::new("BatchArgs", "JobMonitorTimeout", count(30), "batchjobmonitortimeout",
        "How many minutes a job is watched").alias(&["monitortimeout"]),

    Member::new("ConnectionArgs", "KeyVaultName", TEXT, "keyvaultname",
        "Key vault that holds the secrets").alias(&["kv"]),
    Member::new("ConnectionArgs", "ServiceBusTopicConnectionString",
        Kind::Connection(SecretName::ServiceBusTopicConnectionString), "servicebustopicconnection",
        "Service Bus: a connection string, or the name of the namespace").alias(&["sb"]),
    Member::new("ConnectionArgs", "EventHubConnectionString",
        Kind::Connection(SecretName::EventHubConnectionString), "eventhubconnection",
        "Event hub: a connection string, or namespace|hub").alias(&["eh"]),
    Member::new("ConnectionArgs", "EventHubResourceGroup", TEXT, "",
        "Resource group of the event hub, as older versions store it"),
    Member::new("ConnectionArgs", "StorageAccountName", TEXT, "storageaccountname",
        "Storage account"),
    Member::new("ConnectionArgs", "StorageAccountKey", Kind::Secret(SecretName::StorageAccountKey), "storageaccountkey",
        "Key of the storage account"),
    Member::new("ConnectionArgs", "RelayProxyEndpoint", TEXT, "relayproxyendpoint",
        "Address of the relay proxy"),
    Member::new("ConnectionArgs", "BatchAccountName", TEXT, "batchaccountname",
        "Batch account").alias(&["acct"]),
    Member::new("ConnectionArgs", "BatchAccountKey", Kind::Secret(SecretName::BatchAccountKey), "batchaccountkey",
        "Key of the Batch account").short('k'),
    Member::new("ConnectionArgs", "BatchAccountUrl", TEXT, "batchaccounturl",
        "Address of the Batch account").short('U'),

    Member::new("ContainerAppArgs", "EnvironmentName", TEXT, "environmentname",
        "Environment of the container apps").short('e'),
    Member::new("ContainerAppArgs", "SubscriptionId", TEXT, "subscriptionid",
        "Azure subscription"),
    Member::new("ContainerAppArgs", "ResourceGroup", TEXT, "resourcegroup",
        "Resource group of the environment").short('g'),
    Member::new("ContainerAppArgs", "Location", TEXT, "location",
        "Azure region").short('l'),
    Member::new("ContainerAppArgs", "MaxContainerCount", count(10), "maxcontainers",
        "How many containers at most").alias(&["max"]),

    Member::new("AciArgs", "AciName", TEXT, "aciname",
        "Name of the container group"),
    Member::new("AciArgs", "ResourceGroup", TEXT, "aciresourcegroup",
        "Resource group of the container group").alias(&["acirg"]),
    Member::new("AciArgs", "SubscriptionId", TEXT, "subscriptionid",
        "Azure subscription"),

    Member::new("ContainerRegistryArgs", "RegistryServer", TEXT, "registryserver",
        "Container registry").alias(&["registry"]),
    Member::new("ContainerRegistryArgs", "ImageName", TEXT, "imagename",
        "Image of the workers").alias(&["image"]),
    Member::new("ContainerRegistryArgs", "ImageTag", TEXT, "imagetag",
        "Tag of the image").alias(&["tag"]),
    Member::new("ContainerRegistryArgs", "RegistryUserName", TEXT, "registryusername",
        "User of the registry"),
    Member::new("ContainerRegistryArgs", "RegistryPassword", Kind::Secret(SecretName::RegistryPassword),
        "registrypassword", "Password of the registry's user"),

    Member::new("EventHubArgs", "ResourceGroup", TEXT, "eventhubresourcegroup",
        "Resource group of the event hub").alias(&["ehrg"]),
    Member::new("EventHubArgs", "SubscriptionId", TEXT, "eventhubsubscriptionid",
        "Azure subscription of the event hub").alias(&["ehsub"]),
    Member::new("EventHubArgs", "Logging", LOGGING, "eventhublogging",
        "What goes to the event hub: EssentialOnly, ScriptErrors, IndividualScriptResults, ConsolidatedScriptResults, \
         VerboseMessages; may be repeated"),

    Member::new("IdentityArgs", "IdentityName", TEXT, "identityname",
        "Managed identity of the workers").alias(&["id"]),
    Member::new("IdentityArgs", "ClientId", TEXT, "clientid",
        "Client id of the identity"),
    Member::new("IdentityArgs", "PrincipalId", TEXT, "principalid",
        "Principal id of the identity"),
    Member::new("IdentityArgs", "ResourceGroup", TEXT, "identityresourcegroup",
        "Resource group of the identity").alias(&["idrg"]),
    Member::new("IdentityArgs", "SubscriptionId", TEXT, "subscriptionid",
        "Azure subscription"),
    Member::new("IdentityArgs", "TenantId", TEXT, "tenantid",
        "Tenant of the identity"),
    Member::new("IdentityArgs", "ServiceAccountName", TEXT, "serviceaccountname",
        "Kubernetes service account of the workers").alias(&["serviceaccount"]),

    Member::new("KubernetesArgs", "PodCount", count(10), "podcount",
        "How many pods"),

    Member::new("NetworkArgs", "VnetName", TEXT, "vnetname",
        "Virtual network of the workers"),
    Member::new("NetworkArgs", "SubnetName", TEXT, "subnetname",
        "Its subnet"),
    Member::new("NetworkArgs", "ResourceGroup", TEXT, "vnetresourcegroup",
        "Resource group of the network").alias(&["vnetrg"]),

    Member::new("", "Concurrency", number(10, 1, 10_000), "concurrency",
        "How many databases are built at once; what is counted depends on --concurrencytype"),
    Member::new("", "ConcurrencyType", CONCURRENCY, "concurrencytype",
        "What the number counts: Count, Server, MaxPerServer, Tag or MaxPerTag"),
    Member::new("", "TimeoutRetryCount", number(0, 0, 1_000), "timeoutretrycount",
        "How often a database is built again after a script time-out"),
    Member::new("", "DefaultScriptTimeout", number(500, 1, 604_800), "defaultscripttimeout",
        "Time-out in seconds of scripts that name none"),
    Member::new("", "RootLoggingPath", TEXT, "rootloggingpath",
        "Folder for logs and results"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_every_secret_has_its_place() {
        let paths: BTreeSet<String> = MEMBERS.iter().map(Member::path).collect();
        assert_eq!(paths.len(), MEMBERS.len());
        for name in SecretName::ALL {
            assert_eq!(
                of_secret(name).map(|member| member.name),
                Some(name.in_file())
            );
        }
        let mut options = BTreeSet::new();
        for member in MEMBERS
            .iter()
            .filter(|member| member.option != "subscriptionid")
        {
            for name in member.aliases.iter().chain([&member.option]) {
                assert!(
                    name.is_empty() || options.insert(*name),
                    "{name} means two things"
                );
            }
        }
    }

    #[test]
    fn options_lead_to_members_and_variables() {
        let member = of_option("--platform").unwrap();
        assert_eq!(member.path(), "AuthenticationArgs.DatabasePlatform");
        assert_eq!(member.variable(), "SBM_PLATFORM");
        assert_eq!(of_option("--trial"), None);
        assert_eq!(variable("--finish-partial"), "SBM_FINISH_PARTIAL");
    }
}
