//! The clouds of Azure, which differ in their hosts and in whom a token is made out to.

mod names;

use std::{fmt, str::FromStr};

use names::{CHINA, Names, PUBLIC, US_GOVERNMENT};

/// One of the clouds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Cloud {
    /// The one that everybody means who names none.
    #[default]
    Public,
    /// That of the government of the United States.
    UsGovernment,
    /// That in China, which 21Vianet runs.
    China,
}

/// What a token can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    /// Queues and topics.
    ServiceBus,
    /// Events.
    EventHubs,
    /// Blobs.
    Storage,
    /// Secrets.
    KeyVault,
    /// Azure SQL.
    Sql,
    /// Azure Database for PostgreSQL and for MySQL.
    OpenSourceDatabases,
    /// The resource manager, ARM.
    Management,
}

/// The variable that names the cloud.
const CLOUD_VARIABLE: &str = "SBM_CLOUD";

/// The variable of all Azure programs that names the host of Entra ID.
const AUTHORITY_VARIABLE: &str = "AZURE_AUTHORITY_HOST";

impl Cloud {
    /// Every cloud.
    const ALL: [Self; 3] = [Self::Public, Self::UsGovernment, Self::China];

    /// The cloud that the variables `SBM_CLOUD`, or else `AZURE_AUTHORITY_HOST`, speak of; the public one when they say nothing.
    pub fn from_environment(
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, UnknownCloud> {
        let given = |name| variable(name).filter(|text| !text.trim().is_empty());
        if let Some(name) = given(CLOUD_VARIABLE) {
            return name.parse();
        }
        let authority = given(AUTHORITY_VARIABLE);
        Ok(authority.map_or(Self::Public, |host| Self::of_authority(&host)))
    }

    /// The cloud of this host of Entra ID. Any other host, as that of a test, stands for the public cloud.
    fn of_authority(url: &str) -> Self {
        let host = url.trim().trim_end_matches('/');
        let known = Self::ALL.into_iter();
        let mut known = known.filter(|cloud| cloud.authority().eq_ignore_ascii_case(host));
        known.next().unwrap_or_default()
    }

    /// The cloud in which a host with this name stands; none when the name is not one of Azure's.
    pub fn of_host(host: &str) -> Option<Self> {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        Self::ALL.into_iter().find(|cloud| {
            let zones = cloud.names().zones;
            let mut below = zones.iter().filter_map(|zone| host.strip_suffix(zone));
            below.any(|rest| rest.ends_with('.'))
        })
    }

    /// The base URL of Entra ID, without a slash at its end.
    pub fn authority(self) -> &'static str {
        self.names().authority
    }

    /// For whom somebody whom Entra ID trusts makes out a token about us.
    pub fn federation_audience(self) -> &'static str {
        self.names().federation_audience
    }

    /// The base URL of the resource manager, without a slash at its end.
    pub fn management(self) -> &'static str {
        self.names().management
    }

    /// The host of a Service Bus or Event Hubs namespace, from its name. A name with dots is a host already.
    pub fn namespace_host(self, name: &str) -> String {
        host(name, self.names().service_bus)
    }

    /// The host of a storage account's blobs, from the account's name.
    pub fn blob_host(self, account: &str) -> String {
        host(account, self.names().blob)
    }

    /// The host of a key vault, from its name.
    pub fn vault_host(self, name: &str) -> String {
        host(name, self.names().vault)
    }

    /// The scope of a token for a service.
    pub fn scope(self, service: Service) -> &'static str {
        let names = self.names();
        match service {
            Service::ServiceBus => "https://servicebus.azure.net/.default",
            Service::EventHubs => "https://eventhubs.azure.net/.default",
            Service::Storage => "https://storage.azure.com/.default",
            Service::KeyVault => names.vault_scope,
            Service::Sql => names.sql_scope,
            Service::OpenSourceDatabases => names.open_source_scope,
            Service::Management => names.management_scope,
        }
    }

    fn names(self) -> &'static Names {
        match self {
            Self::Public => &PUBLIC,
            Self::UsGovernment => &US_GOVERNMENT,
            Self::China => &CHINA,
        }
    }
}

fn host(name: &str, zone: &str) -> String {
    if name.contains('.') {
        name.to_owned()
    } else {
        format!("{name}.{zone}")
    }
}

impl fmt::Display for Cloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.names().name)
    }
}

/// A name that no cloud has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no cloud is named `{0}`; accepted are AzureCloud, AzureUSGovernment and AzureChinaCloud")]
pub struct UnknownCloud(
    /// What was given.
    pub String,
);

impl FromStr for Cloud {
    type Err = UnknownCloud;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let name = text.trim();
        let clouds = Self::ALL.into_iter();
        let mut named = clouds.filter(|cloud| {
            let names = cloud.names();
            names.name.eq_ignore_ascii_case(name)
                || names
                    .other_names
                    .iter()
                    .any(|other| other.eq_ignore_ascii_case(name))
        });
        named.next().ok_or_else(|| UnknownCloud(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clouds_are_known_by_the_names_of_azures_own_programs() {
        for (name, cloud) in [
            ("AzureCloud", Cloud::Public),
            ("public", Cloud::Public),
            ("azureusgovernment", Cloud::UsGovernment),
            ("AzureUSGovernmentCloud", Cloud::UsGovernment),
            (" AzureChinaCloud ", Cloud::China),
        ] {
            assert_eq!(name.parse(), Ok(cloud), "{name}");
        }
        for cloud in Cloud::ALL {
            assert_eq!(cloud.to_string().parse(), Ok(cloud));
        }
        let error = "Azur".parse::<Cloud>().unwrap_err().to_string();
        assert!(
            error.contains("`Azur`") && error.contains("AzureCloud"),
            "{error}"
        );
    }

    #[test]
    fn a_host_tells_its_cloud() {
        for (host, cloud) in [
            ("a.servicebus.windows.net", Some(Cloud::Public)),
            ("A.Database.Windows.Net.", Some(Cloud::Public)),
            ("a.mysql.database.azure.com", Some(Cloud::Public)),
            ("a.vault.usgovcloudapi.net", Some(Cloud::UsGovernment)),
            ("a.blob.core.chinacloudapi.cn", Some(Cloud::China)),
            ("windows.net", None),
            ("evilwindows.net", None),
            ("localhost", None),
            ("10.0.0.1", None),
        ] {
            assert_eq!(Cloud::of_host(host), cloud, "{host}");
        }
        for cloud in Cloud::ALL {
            for host in [
                cloud.namespace_host("n"),
                cloud.blob_host("n"),
                cloud.vault_host("n"),
            ] {
                assert_eq!(Cloud::of_host(&host), Some(cloud), "{host}");
            }
        }
        assert_eq!(Cloud::Public.vault_host("v.other.org"), "v.other.org");
    }

    #[test]
    fn the_environment_names_the_cloud_or_its_authority() {
        let cloud = |name: &str, value: &str| {
            let (name, value) = (name.to_owned(), value.to_owned());
            Cloud::from_environment(&move |asked| (asked == name).then(|| value.clone()))
        };
        assert_eq!(cloud(CLOUD_VARIABLE, "AzureChinaCloud"), Ok(Cloud::China));
        let authority = "https://login.microsoftonline.us/";
        assert_eq!(
            cloud(AUTHORITY_VARIABLE, authority),
            Ok(Cloud::UsGovernment)
        );
        assert_eq!(
            cloud(AUTHORITY_VARIABLE, "https://localhost:1"),
            Ok(Cloud::Public)
        );
        assert_eq!(cloud("NONE", ""), Ok(Cloud::Public));
        assert!(cloud(CLOUD_VARIABLE, "nowhere").is_err());
    }

    #[test]
    fn tokens_are_made_out_to_services_of_the_same_cloud() {
        let vault = Cloud::China.scope(Service::KeyVault);
        assert_eq!(vault, "https://vault.azure.cn/.default");
        let sql = Cloud::UsGovernment.scope(Service::Sql);
        assert_eq!(sql, "https://database.usgovcloudapi.net/.default");
        for cloud in Cloud::ALL {
            assert!(
                cloud
                    .scope(Service::Management)
                    .starts_with(cloud.management())
            );
        }
    }
}
