//! Where a namespace is and with which key, as a user gives it: a connection string, or a name.

use secrecy::{ExposeSecret, SecretString};

use crate::azure::Cloud;

/// The ports of the protocols.
const AMQP: u16 = 5672;
const AMQPS: u16 = 5671;
const HTTPS: u16 = 443;

/// The port of the emulator's management interface, beside its port 5672.
const EMULATOR_HTTP: u16 = 5300;

/// A namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The host, in lower case.
    pub host: String,
    /// The one port for everything, when one is given.
    pub port: Option<u16>,
    /// Whether nothing is encrypted, as with `UseDevelopmentEmulator=true`.
    pub is_emulator: bool,
    /// The topic or hub that the connection string names.
    pub entity: Option<String>,
}

/// A name and a key that make tokens.
#[derive(Clone, Debug)]
pub struct SharedKey {
    /// The name of the rule that the key belongs to.
    pub name: String,
    /// The key.
    pub key: SecretString,
}

/// What is wrong with an address. No message shows what was given, since it may hold a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// A part is missing.
    #[error("the connection string has no {part}")]
    Missing {
        /// The part.
        part: &'static str,
    },
    /// A part is not what it should be.
    #[error("the {part} of the connection string is not valid")]
    Invalid {
        /// The part.
        part: &'static str,
    },
    /// It is neither a connection string nor a name.
    #[error(
        "neither a connection string (Endpoint=sb://…;SharedAccessKeyName=…;SharedAccessKey=…) nor the name of a namespace"
    )]
    Neither,
    /// No hub is named.
    #[error(
        "the hub is missing: add ;EntityPath=HUB to the connection string, or give NAMESPACE|HUB"
    )]
    NoHub,
}

impl Address {
    /// Reads a connection string, or the name of a namespace in `cloud`. Without a key, tokens of Entra ID are meant.
    pub fn parse(
        value: &SecretString,
        cloud: Cloud,
    ) -> Result<(Self, Option<SharedKey>), AddressError> {
        let value = value.expose_secret().trim();
        if is_connection_string(value) {
            let parts = Parts::new(value);
            return Ok((parts.address()?, Some(parts.key()?)));
        }
        let (host, port) = host_and_port(value).ok_or(AddressError::Neither)?;
        let host = match port {
            Some(_) => host,
            None => cloud.namespace_host(&host),
        };
        let address = Self {
            host,
            port,
            is_emulator: false,
            entity: None,
        };
        Ok((address, None))
    }

    /// The same for a hub: a connection string that names it by `EntityPath`, or `namespace|hub`.
    pub fn parse_hub(
        value: &SecretString,
        cloud: Cloud,
    ) -> Result<(Self, Option<SharedKey>, String), AddressError> {
        if is_connection_string(value.expose_secret().trim()) {
            let (address, key) = Self::parse(value, cloud)?;
            let hub = address.entity.clone().ok_or(AddressError::NoHub)?;
            return Ok((address, key, hub));
        }
        let both = value.expose_secret().split_once('|');
        let (namespace, hub) = both.ok_or(AddressError::NoHub)?;
        let (address, key) = Self::parse(&SecretString::from(namespace), cloud)?;
        match hub.trim() {
            "" => Err(AddressError::NoHub),
            hub => Ok((address, key, hub.to_owned())),
        }
    }

    /// The port on which AMQP is spoken.
    pub(super) fn amqp_port(&self) -> u16 {
        self.port
            .unwrap_or(if self.is_emulator { AMQP } else { AMQPS })
    }

    /// The port on which AMQP is spoken within a WebSocket.
    pub(super) fn web_socket_port(&self) -> u16 {
        self.port.unwrap_or(HTTPS)
    }

    /// The URL of the management interface, without a slash at its end.
    pub fn management_url(&self) -> String {
        match (self.is_emulator, self.port) {
            (true, None | Some(AMQP)) => format!("http://{}:{EMULATOR_HTTP}", self.host),
            (true, Some(port)) => format!("http://{}:{port}", self.host),
            (false, Some(port)) => format!("https://{}:{port}", self.host),
            (false, None) => format!("https://{}", self.host),
        }
    }

    /// What a token for an entity is made out to.
    pub(super) fn resource(&self, entity: &str) -> String {
        format!("sb://{}/{entity}", self.host)
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}:{port}", self.host),
            None => f.write_str(&self.host),
        }
    }
}

fn is_connection_string(value: &str) -> bool {
    let lower = value.to_ascii_lowercase();
    lower.starts_with("endpoint")
        && lower.contains("sharedaccesskeyname")
        && lower.contains("sharedaccesskey")
}

/// The parts of a connection string.
struct Parts<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Parts<'a> {
    fn new(value: &'a str) -> Self {
        let parts = value.split(';').filter_map(|part| part.split_once('='));
        Self(
            parts
                .map(|(name, value)| (name.trim(), value.trim()))
                .collect(),
        )
    }

    fn get(&self, name: &'static str) -> Result<&'a str, AddressError> {
        let mut found = self
            .0
            .iter()
            .filter(|(key, _)| key.eq_ignore_ascii_case(name));
        match found.next() {
            Some((_, value)) if !value.is_empty() => Ok(value),
            _ => Err(AddressError::Missing { part: name }),
        }
    }

    fn address(&self) -> Result<Address, AddressError> {
        let endpoint = self.get("Endpoint")?;
        let bare = endpoint
            .split_once("://")
            .map_or(endpoint, |(_, rest)| rest);
        let invalid = AddressError::Invalid { part: "Endpoint" };
        let (host, port) = host_and_port(bare.trim_end_matches('/')).ok_or(invalid)?;
        let emulator = self.get("UseDevelopmentEmulator").unwrap_or_default();
        Ok(Address {
            host,
            port,
            is_emulator: emulator.eq_ignore_ascii_case("true"),
            entity: self.get("EntityPath").ok().map(str::to_owned),
        })
    }

    fn key(&self) -> Result<SharedKey, AddressError> {
        Ok(SharedKey {
            name: self.get("SharedAccessKeyName")?.to_owned(),
            key: SecretString::from(self.get("SharedAccessKey")?),
        })
    }
}

/// A host in lower case, and its port.
fn host_and_port(text: &str) -> Option<(String, Option<u16>)> {
    let text = text.trim().trim_end_matches('/').to_ascii_lowercase();
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, Some(port.parse().ok().filter(|port| *port != 0)?)),
        None => (text.as_str(), None),
    };
    let is_host = |char: char| char.is_ascii_alphanumeric() || matches!(char, '.' | '-');
    (!host.is_empty() && host.chars().all(is_host)).then(|| (host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(value: &str) -> Result<(Address, Option<SharedKey>), AddressError> {
        Address::parse(&SecretString::from(value), Cloud::Public)
    }

    #[test]
    fn a_connection_string_is_read_in_any_order_and_case() {
        let text = "endpoint=sb://My-Bus.servicebus.windows.net/;SharedAccessKey=a+b/c=;\
                    SHAREDACCESSKEYNAME=Root; EntityPath=sqlbuildmanager";
        let (address, key) = parse(text).unwrap();
        assert_eq!(address.host, "my-bus.servicebus.windows.net");
        assert_eq!(address.entity.as_deref(), Some("sqlbuildmanager"));
        assert_eq!(
            (address.amqp_port(), address.web_socket_port()),
            (5671, 443)
        );
        assert_eq!(
            address.management_url(),
            "https://my-bus.servicebus.windows.net"
        );
        let key = key.unwrap();
        assert_eq!((&*key.name, key.key.expose_secret()), ("Root", "a+b/c="));
        assert!(!format!("{key:?}").contains("a+b"));
    }

    #[test]
    fn a_port_is_kept_and_the_emulator_speaks_plainly() {
        let rest = "SharedAccessKeyName=k;SharedAccessKey=v";
        let of = |text: &str| parse(text).unwrap().0;
        let address = of(&format!("Endpoint=sb://localhost:7000;{rest}"));
        assert_eq!(
            (address.amqp_port(), address.web_socket_port()),
            (7000, 7000)
        );
        assert_eq!(address.management_url(), "https://localhost:7000");
        let emulator = of(&format!(
            "Endpoint=sb://localhost;{rest};UseDevelopmentEmulator=true;"
        ));
        assert!(emulator.is_emulator);
        assert_eq!(emulator.amqp_port(), 5672);
        assert_eq!(emulator.management_url(), "http://localhost:5300");
        let other = of(&format!(
            "Endpoint=sb://localhost:7000;{rest};usedevelopmentemulator=TRUE"
        ));
        assert_eq!(other.management_url(), "http://localhost:7000");
    }

    #[test]
    fn a_name_is_a_namespace_of_the_cloud() {
        let host = |name: &str, cloud| {
            let (address, key) = Address::parse(&SecretString::from(name), cloud).unwrap();
            assert!(key.is_none());
            address.to_string()
        };
        assert_eq!(host("MyBus", Cloud::Public), "mybus.servicebus.windows.net");
        assert_eq!(
            host(" mybus ", Cloud::China),
            "mybus.servicebus.chinacloudapi.cn"
        );
        assert_eq!(
            host("mybus.servicebus.usgovcloudapi.net", Cloud::Public),
            "mybus.servicebus.usgovcloudapi.net"
        );
        assert_eq!(host("localhost:7000", Cloud::Public), "localhost:7000");
    }

    #[test]
    fn what_is_wrong_is_said_without_the_key() {
        let cases = [
            ("", AddressError::Neither),
            ("a b", AddressError::Neither),
            ("host:99999", AddressError::Neither),
            (
                "Endpoint=;SharedAccessKeyName=k;SharedAccessKey=v",
                AddressError::Missing { part: "Endpoint" },
            ),
            (
                "Endpoint=sb://h:x/;SharedAccessKeyName=k;SharedAccessKey=v",
                AddressError::Invalid { part: "Endpoint" },
            ),
            (
                "Endpoint=sb://h/;SharedAccessKeyName=k",
                AddressError::Missing {
                    part: "SharedAccessKey",
                },
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text).unwrap_err(), expected, "{text}");
        }
    }

    #[test]
    fn a_hub_is_named_in_either_form() {
        let hub = |value: &str| Address::parse_hub(&SecretString::from(value), Cloud::Public);
        let (address, key, name) = hub("ns|events").unwrap();
        assert_eq!(
            (address.to_string(), name),
            ("ns.servicebus.windows.net".into(), "events".into())
        );
        assert!(key.is_none());
        let text = "Endpoint=sb://h.x/;SharedAccessKeyName=k;SharedAccessKey=v";
        assert_eq!(hub(text).unwrap_err(), AddressError::NoHub);
        assert_eq!(hub(&format!("{text};EntityPath=e")).unwrap().2, "e");
        assert_eq!(hub("ns").unwrap_err(), AddressError::NoHub);
        assert_eq!(hub("ns|").unwrap_err(), AddressError::NoHub);
    }
}
