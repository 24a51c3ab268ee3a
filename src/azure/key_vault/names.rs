//! The names of a job's own secrets.

use sha2::{Digest, Sha256};

use crate::secrets::SecretName;

/// The name of a job's own secret: `sbm-<job>-<name>`. A job whose name has signs that no secret's name may have gets another
/// sign in their place and a part of its hash, so that no two jobs share a name.
pub(super) fn of_job(job: &str, name: SecretName) -> String {
    let plain = |sign: char| sign.is_ascii_alphanumeric() || sign == '-';
    let secret = name.in_vault();
    if job.len() <= LONGEST && job.chars().all(plain) && job == job.to_ascii_lowercase() {
        return format!("sbm-{job}-{secret}");
    }
    let hash = Sha256::digest(job.as_bytes());
    let hash: String = hash
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let words: String = job
        .chars()
        .take(LONGEST)
        .map(|sign| if plain(sign) { sign } else { '-' })
        .collect();
    format!("sbm-{words}-x{hash}-{secret}")
}

/// The most signs of a job's name in that of a secret, which has 127 at most.
const LONGEST: usize = 70;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_job_has_names_of_its_own_that_a_vault_takes() {
        let long = "x".repeat(200);
        let jobs = [
            "job",
            "job-1",
            "a_b",
            "a-b",
            "A-b",
            "ä",
            "",
            &long,
            &long[1..],
        ];
        let mut all = HashSet::new();
        for job in jobs {
            for name in SecretName::ALL {
                let name = of_job(job, name);
                let letters = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
                assert!((1..=127).contains(&name.len()), "{name}");
                assert!(name.bytes().all(letters), "{name}");
                // Vaults do not tell capital letters from small ones.
                assert!(all.insert(name.to_ascii_lowercase()), "{name}");
            }
        }
        assert_eq!(
            of_job("job-1", SecretName::RegistryPassword),
            "sbm-job-1-ContainerRegistryPassword"
        );
    }
}
