//! The names of each cloud, from Microsoft's tables of endpoints.

/// What differs from cloud to cloud.
pub(super) struct Names {
    /// The name that Azure CLI gives it.
    pub(super) name: &'static str,
    pub(super) other_names: &'static [&'static str],
    pub(super) authority: &'static str,
    pub(super) federation_audience: &'static str,
    pub(super) management: &'static str,
    pub(super) management_scope: &'static str,
    pub(super) service_bus: &'static str,
    pub(super) blob: &'static str,
    pub(super) vault: &'static str,
    pub(super) vault_scope: &'static str,
    pub(super) sql_scope: &'static str,
    pub(super) open_source_scope: &'static str,
    /// The ends of all its hosts.
    pub(super) zones: &'static [&'static str],
}

pub(super) const PUBLIC: Names = Names {
    name: "AzureCloud",
    other_names: &["AzurePublicCloud", "AzurePublic", "Public"],
    authority: "https://login.microsoftonline.com",
    federation_audience: "api://AzureADTokenExchange",
    management: "https://management.azure.com",
    management_scope: "https://management.azure.com/.default",
    service_bus: "servicebus.windows.net",
    blob: "blob.core.windows.net",
    vault: "vault.azure.net",
    vault_scope: "https://vault.azure.net/.default",
    sql_scope: "https://database.windows.net/.default",
    open_source_scope: "https://ossrdbms-aad.database.windows.net/.default",
    zones: &["windows.net", "azure.net", "azure.com"],
};

pub(super) const US_GOVERNMENT: Names = Names {
    name: "AzureUSGovernment",
    other_names: &["AzureUSGovernmentCloud", "AzureGovernment", "USGovernment"],
    authority: "https://login.microsoftonline.us",
    federation_audience: "api://AzureADTokenExchangeUSGov",
    management: "https://management.usgovcloudapi.net",
    management_scope: "https://management.usgovcloudapi.net/.default",
    service_bus: "servicebus.usgovcloudapi.net",
    blob: "blob.core.usgovcloudapi.net",
    vault: "vault.usgovcloudapi.net",
    vault_scope: "https://vault.usgovcloudapi.net/.default",
    sql_scope: "https://database.usgovcloudapi.net/.default",
    open_source_scope: "https://ossrdbms-aad.database.usgovcloudapi.net/.default",
    zones: &["usgovcloudapi.net", "azure.us"],
};

pub(super) const CHINA: Names = Names {
    name: "AzureChinaCloud",
    other_names: &["AzureChina", "China"],
    authority: "https://login.chinacloudapi.cn",
    federation_audience: "api://AzureADTokenExchangeChina",
    management: "https://management.chinacloudapi.cn",
    management_scope: "https://management.chinacloudapi.cn/.default",
    service_bus: "servicebus.chinacloudapi.cn",
    blob: "blob.core.chinacloudapi.cn",
    vault: "vault.azure.cn",
    vault_scope: "https://vault.azure.cn/.default",
    sql_scope: "https://database.chinacloudapi.cn/.default",
    open_source_scope: "https://ossrdbms-aad.database.chinacloudapi.cn/.default",
    zones: &["chinacloudapi.cn", "azure.cn"],
};
