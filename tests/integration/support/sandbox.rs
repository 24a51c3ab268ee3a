//! The sandbox of the tests, which stands for Azure.

use std::path::{Path, PathBuf};

use sbm::azure::{Trust, blob::Access};
use serde_json::Value;

/// Names the file in which the sandbox says where it is.
pub(crate) const VARIABLE: &str = "SBM_TEST_SANDBOX";

/// Where the sandbox is.
#[derive(Clone, Debug)]
pub(crate) struct Sandbox(Value);

impl Sandbox {
    /// The sandbox; without one the test is skipped.
    pub(crate) fn for_test(test: &str) -> Option<Self> {
        let Ok(path) = std::env::var(VARIABLE) else {
            super::skip(VARIABLE, test);
            return None;
        };
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        Some(Self(serde_json::from_str(&text).unwrap()))
    }

    /// A text that stands in the file under these names, such as `blob` and `endpoint`.
    pub(crate) fn text(&self, names: &[&str]) -> String {
        let value = names.iter().fold(&self.0, |value, name| &value[name]);
        let text = value.as_str();
        text.unwrap_or_else(|| panic!("{VARIABLE}: no {names:?}"))
            .to_owned()
    }

    /// The PEM file of its certificate authority.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.text(&["certificate"]).into()
    }

    /// Trusts its certificates.
    pub(crate) fn trust(&self) -> Trust {
        let path: &Path = &self.certificate();
        Trust::new(Some(path)).unwrap()
    }

    /// Lets a service misbehave as `fault` says. What it says of addresses keeps it from the requests of other tests.
    pub(crate) fn plan_fault(&self, fault: &Value) {
        let url = format!("{}/http", self.text(&["faults"]));
        let fault = fault.clone();
        ask(move |client| client.post(url).json(&fault));
    }

    /// Whether a fault for addresses with `part` is still to come.
    pub(crate) fn has_fault(&self, part: &str) -> bool {
        let url = self.text(&["faults"]);
        ask(move |client| client.get(url)).contains(part)
    }

    /// The key of its storage account.
    pub(crate) fn blob_key(&self) -> Access {
        Access::Key(self.text(&["blob", "key"]).into())
    }
}

/// The answer of the sandbox itself. Asked in another thread, because this one may be in a runtime already.
fn ask(
    request: impl FnOnce(reqwest::Client) -> reqwest::RequestBuilder + Send + 'static,
) -> String {
    let asked = std::thread::spawn(|| {
        super::postgres::runtime().block_on(async {
            let answer = request(reqwest::Client::new()).send().await.unwrap();
            answer.error_for_status().unwrap().text().await.unwrap()
        })
    });
    asked.join().unwrap()
}
