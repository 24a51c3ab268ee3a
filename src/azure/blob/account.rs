//! Where a storage account is reached.

use std::fmt;

use url::Url;

use super::access::Unusable;
use crate::azure::Cloud;

/// A storage account, by its name and the address of its blobs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    name: String,
    endpoint: Url,
}

impl Account {
    /// The account of this name in `cloud`, or the one whose blobs have this address. An address with a path, as an emulator
    /// has it, ends with the account's name.
    pub fn new(given: &str, cloud: Cloud) -> Result<Self, Unusable> {
        let given = given.trim();
        let unusable = || Unusable::Account(given.to_owned());
        let is_address = given.contains("://");
        let address = match is_address {
            true => given.to_owned(),
            false => format!("https://{}", cloud.blob_host(given)),
        };
        let endpoint: Url = address.parse().map_err(|_| unusable())?;
        let is_web = matches!(endpoint.scheme(), "https" | "http");
        let host = endpoint
            .host_str()
            .filter(|_| is_web)
            .ok_or_else(unusable)?;
        let path = endpoint.path().trim_matches('/');
        let name = match path {
            "" => host.split('.').next().unwrap_or_default(),
            path => path,
        };
        let letters = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        if !(3..=24).contains(&name.len()) || !name.bytes().all(letters) {
            return Err(unusable());
        }
        let name = name.to_owned();
        Ok(Self { name, endpoint })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The address of its blobs.
    pub(super) fn endpoint(&self) -> &Url {
        &self.endpoint
    }

    /// The address of a container.
    pub(super) fn container(&self, name: &str) -> Result<Url, Unusable> {
        let letters = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let good = (3..=63).contains(&name.len())
            && name.bytes().all(letters)
            && !name.starts_with('-')
            && !name.ends_with('-')
            && !name.contains("--");
        let mut url = self.endpoint.clone();
        match url.path_segments_mut() {
            Ok(mut segments) if good => {
                segments.pop_if_empty().push(name);
            }
            _ => return Err(Unusable::Container(name.to_owned())),
        }
        Ok(url)
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "storage account {}", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(given: &str) -> Account {
        Account::new(given, Cloud::China).unwrap()
    }

    #[test]
    fn an_account_is_given_by_its_name_or_its_address() {
        let named = account("fleet1");
        assert_eq!(
            named.endpoint().as_str(),
            "https://fleet1.blob.core.chinacloudapi.cn/"
        );
        let host = account("fleet1.blob.core.windows.net");
        assert_eq!(
            host.endpoint().as_str(),
            "https://fleet1.blob.core.windows.net/"
        );
        assert_eq!((named.name(), host.name()), ("fleet1", "fleet1"));
        let emulated = account("http://127.0.0.1:10000/devstoreaccount1");
        assert_eq!(emulated.name(), "devstoreaccount1");
        let url = emulated.container("job-1").unwrap();
        assert_eq!(
            url.as_str(),
            "http://127.0.0.1:10000/devstoreaccount1/job-1"
        );
        let url = named.container("job").unwrap();
        assert_eq!(
            url.as_str(),
            "https://fleet1.blob.core.chinacloudapi.cn/job"
        );
        assert_eq!(named.to_string(), "storage account fleet1");
    }

    #[test]
    fn what_is_no_account_and_no_container_is_refused() {
        for bad in [
            "",
            "ab",
            "fleet_1",
            "a-b-c",
            "ftp://fleet1",
            "https://",
            "http://h/a/b",
        ] {
            assert!(Account::new(bad, Cloud::Public).is_err(), "{bad}");
        }
        for bad in [
            "",
            "ab",
            "Job",
            "-job",
            "job-",
            "a--b",
            "a.b",
            &"x".repeat(64),
        ] {
            assert!(account("fleet1").container(bad).is_err(), "{bad}");
        }
    }
}
