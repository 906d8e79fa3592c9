//! SCRAM credentials of users: stored as RFC 5802 has servers do, so that what is stored cannot log in (KIP-554, KIP-84).
//!
//! The client sends the salted password; kept are the keys derived from it. They leave this module only for a check of a login,
//! never for an answer or a page.

use crate::controller::machine::Controller;
use crate::controller::quotas::NAME_BYTES_MAX;
use crate::controller::record::MetaRecord;
use crate::controller::request::{ControllerReply, Outcome};
use crate::wire::error::ErrorCode;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256, Sha512};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Users with credentials; metadata lies in memory and in one checkpoint.
const USERS_MAX: usize = 20_000;
/// Fewest rounds of hashing, as Kafka.
const ITERATIONS_MIN: i32 = 4096;
/// Most rounds of hashing, as Kafka.
const ITERATIONS_MAX: i32 = 16_384;

/// A mechanism by its number on the wire.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(i8)]
pub enum Mechanism {
    /// SCRAM-SHA-256.
    Sha256 = 1,
    /// SCRAM-SHA-512.
    Sha512 = 2,
}

impl Mechanism {
    /// By its number on the wire.
    pub fn of(number: i8) -> Option<Mechanism> {
        match number {
            1 => Some(Mechanism::Sha256),
            2 => Some(Mechanism::Sha512),
            _ => None,
        }
    }

    /// Its name in SASL.
    pub fn name(self) -> &'static str {
        match self {
            Mechanism::Sha256 => "SCRAM-SHA-256",
            Mechanism::Sha512 => "SCRAM-SHA-512",
        }
    }
}

/// What is kept of a password.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct ScramCredential {
    /// Rounds of hashing.
    pub iterations: i32,
    /// Random bytes, told to whoever logs in.
    pub salt: Vec<u8>,
    /// Hash of the client's key.
    pub stored_key: Vec<u8>,
    /// Proves to the client that the server knows it.
    pub server_key: Vec<u8>,
}

// A key in a log is a key lost.
impl fmt::Debug for ScramCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ScramCredential {{ iterations: {}, .. }}", self.iterations)
    }
}

/// All credentials: user, then mechanism.
pub type Scram = BTreeMap<String, BTreeMap<Mechanism, ScramCredential>>;

/// A change.
#[derive(Clone)]
pub enum ScramChange {
    /// Remove a credential.
    Delete {
        /// User.
        user: String,
        /// Number of the mechanism, unchecked.
        mechanism: i8,
    },
    /// Set a credential.
    Upsert {
        /// User.
        user: String,
        /// Number of the mechanism, unchecked.
        mechanism: i8,
        /// Rounds of hashing, unchecked.
        iterations: i32,
        /// Salt.
        salt: Vec<u8>,
        /// Hi(password, salt, iterations) of RFC 5802, a secret.
        salted_password: Vec<u8>,
    },
}

impl fmt::Debug for ScramChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ScramChange of {:?}", self.user())
    }
}

impl ScramChange {
    fn user(&self) -> &str {
        match self {
            ScramChange::Delete { user, .. } | ScramChange::Upsert { user, .. } => user,
        }
    }
    fn mechanism(&self) -> i8 {
        match self {
            ScramChange::Delete { mechanism, .. } | ScramChange::Upsert { mechanism, .. } => *mechanism,
        }
    }
}

type Refused = (ErrorCode, String);

fn unacceptable(why: &str) -> Refused {
    (ErrorCode::UnacceptableCredential, why.to_string())
}

impl Controller {
    /// Changes of one user are done all or none; one outcome per user, in the order they are first named.
    pub(super) fn plan_scram(&mut self, changes: Vec<ScramChange>, records: &mut Vec<MetaRecord>) -> ControllerReply {
        let mut users: Vec<String> = Vec::new();
        let mut seen = BTreeSet::new();
        for change in &changes {
            if seen.insert(change.user()) {
                users.push(change.user().to_string());
            }
        }
        let outcomes = users.into_iter().map(|user| {
            let of_user = changes.iter().filter(|change| change.user() == user);
            let outcome = match self.scram_records(of_user) {
                Ok(changed) => {
                    changed.into_iter().for_each(|record| self.propose(record, records));
                    Outcome::fine()
                }
                Err((error, why)) => Outcome::refused(error, why),
            };
            (user, outcome)
        });
        ControllerReply::ScramAltered(outcomes.collect())
    }

    fn scram_records<'a>(&self, changes: impl Iterator<Item = &'a ScramChange>) -> Result<Vec<MetaRecord>, Refused> {
        let mut seen = BTreeSet::new();
        let mut records = Vec::new();
        for change in changes {
            let mechanism = self.check_scram(change)?;
            if !seen.insert(mechanism) {
                let why = "A user credential cannot be altered twice in the same request".to_string();
                return Err((ErrorCode::DuplicateResource, why));
            }
            let (user, mechanism_number) = (change.user().to_string(), mechanism as i8);
            records.push(match change {
                ScramChange::Delete { .. } => MetaRecord::ScramDeleted {
                    user,
                    mechanism: mechanism_number,
                },
                ScramChange::Upsert {
                    iterations,
                    salt,
                    salted_password,
                    ..
                } => {
                    let (stored_key, server_key) = derive(mechanism, salted_password);
                    MetaRecord::ScramSet {
                        user,
                        mechanism: mechanism_number,
                        iterations: *iterations,
                        salt: salt.clone(),
                        stored_key,
                        server_key,
                    }
                }
            });
        }
        Ok(records)
    }

    fn check_scram(&self, change: &ScramChange) -> Result<Mechanism, Refused> {
        if change.user().is_empty() {
            return Err(unacceptable("Username must not be empty"));
        }
        if change.user().len() > NAME_BYTES_MAX {
            return Err(unacceptable("Username must not be longer than 1024 bytes"));
        }
        let mechanism = Mechanism::of(change.mechanism()).ok_or_else(|| {
            (
                ErrorCode::UnsupportedSaslMechanism,
                "Unknown SCRAM mechanism".to_string(),
            )
        })?;
        match change {
            ScramChange::Delete { user, .. } => {
                let known = self.planned.image.scram.get(user);
                if known.is_none_or(|credentials| !credentials.contains_key(&mechanism)) {
                    let why = "Attempt to delete a user credential that does not exist".to_string();
                    return Err((ErrorCode::ResourceNotFound, why));
                }
            }
            ScramChange::Upsert {
                iterations,
                salt,
                salted_password,
                ..
            } => {
                if *iterations < ITERATIONS_MIN {
                    return Err(unacceptable("Too few iterations"));
                }
                if *iterations > ITERATIONS_MAX {
                    return Err(unacceptable("Too many iterations"));
                }
                if salt.is_empty() || salt.len() > NAME_BYTES_MAX || salted_password.is_empty() {
                    return Err(unacceptable(
                        "Salt and salted password must not be empty, the salt at most 1024 bytes",
                    ));
                }
                let all = &self.planned.image.scram;
                if all.len() >= USERS_MAX && !all.contains_key(change.user()) {
                    return Err(unacceptable("20000 users have credentials already: remove some"));
                }
            }
        }
        Ok(mechanism)
    }
}

/// StoredKey and ServerKey of RFC 5802.
fn derive(mechanism: Mechanism, salted_password: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let client_key = keyed(mechanism, salted_password, b"Client Key");
    let stored_key = match mechanism {
        Mechanism::Sha256 => Sha256::digest(&client_key).to_vec(),
        Mechanism::Sha512 => Sha512::digest(&client_key).to_vec(),
    };
    (stored_key, keyed(mechanism, salted_password, b"Server Key"))
}

fn keyed(mechanism: Mechanism, key: &[u8], text: &[u8]) -> Vec<u8> {
    // HMAC takes keys of any length, so neither constructor fails.
    match mechanism {
        Mechanism::Sha256 => Hmac::<Sha256>::new_from_slice(key)
            .map(|mac| mac.chain_update(text).finalize().into_bytes().to_vec())
            .unwrap_or_default(),
        Mechanism::Sha512 => Hmac::<Sha512>::new_from_slice(key)
            .map(|mac| mac.chain_update(text).finalize().into_bytes().to_vec())
            .unwrap_or_default(),
    }
}

/// Takes a credential over; one of an unknown mechanism is left out.
pub(super) fn set(scram: &mut Scram, user: &str, mechanism: i8, credential: ScramCredential) {
    if let Some(mechanism) = Mechanism::of(mechanism) {
        scram.entry(user.to_string()).or_default().insert(mechanism, credential);
    }
}

/// Forgets a credential.
pub(super) fn delete(scram: &mut Scram, user: &str, mechanism: i8) {
    if let (Some(credentials), Some(mechanism)) = (scram.get_mut(user), Mechanism::of(mechanism)) {
        credentials.remove(&mechanism);
        if credentials.is_empty() {
            scram.remove(user);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The exchange in RFC 7677: user "user", password "pencil".
    #[test]
    fn keys_are_those_of_rfc_7677() {
        let salted = [
            0xc4u8, 0xa4, 0x95, 0x10, 0x32, 0x3a, 0xb4, 0xf9, 0x52, 0xca, 0xc1, 0xfa, 0x99, 0x44, 0x19, 0x39, 0xe7,
            0x8e, 0xa7, 0x4d, 0x6b, 0xe8, 0x1d, 0xdf, 0x70, 0x96, 0xe8, 0x75, 0x13, 0xdc, 0x61, 0x5d,
        ];
        let (_, server_key) = derive(Mechanism::Sha256, &salted);
        let auth = b"n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        // base64 6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=
        let signature = keyed(Mechanism::Sha256, &server_key, auth);
        assert_eq!(
            hex(&signature),
            "eabae24d1062db75a9451ff0b6ea7e98c8546549ff741e672d3251b2397de46e"
        );
    }

    #[test]
    fn a_credential_never_shows_its_keys() {
        let (stored_key, server_key) = derive(Mechanism::Sha512, b"salted");
        assert_eq!((stored_key.len(), server_key.len()), (64, 64));
        let credential = ScramCredential {
            iterations: 4096,
            salt: b"salt".to_vec(),
            stored_key,
            server_key,
        };
        assert_eq!(format!("{credential:?}"), "ScramCredential { iterations: 4096, .. }");
    }
}
