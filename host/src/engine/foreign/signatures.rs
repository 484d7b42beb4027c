//! `verify_signature` and `sign`: protobuf in, protobuf out. The texts of the errors are those of Envoy.

use super::keys::{Hashed, private_der, private_pem, public_der, public_pem};
use crate::engine::protobuf::{Message, put_bool, put_bytes};
use crate::engine::status::Status;

/// Field numbers of the arguments: hash function 1, key in DER 2, in PEM 5; signature 3, text 4.
pub(super) fn verify(arguments: &[u8]) -> Result<Vec<u8>, Status> {
    let (message, function, pem) = arguments_of(arguments, 5)?;
    let outcome = Hashed::new(function, message.bytes(4)).ok_or_else(|| unsupported(function));
    let outcome = outcome.and_then(|text| {
        let key = pem.map_or_else(|| public_der(message.bytes(2)), public_pem);
        let key = key.ok_or("Failed to initialize digest verify.")?;
        let accepted = key.accepts(&text, message.bytes(3));
        accepted.then_some(()).ok_or_else(|| "Failed to verify digest. Error code: 0".into())
    });
    let mut result = Vec::new();
    match outcome {
        Ok(()) => put_bool(&mut result, 1, true),
        Err(error) => put_bytes(&mut result, 2, error.as_bytes()),
    }
    Ok(result)
}

/// Field numbers of the arguments: hash function 1, key in DER 2, in PEM 4; text 3.
pub(super) fn sign(arguments: &[u8]) -> Result<Vec<u8>, Status> {
    let (message, function, pem) = arguments_of(arguments, 4)?;
    let outcome = Hashed::new(function, message.bytes(3)).ok_or_else(|| unsupported(function));
    let outcome = outcome.and_then(|text| {
        let key = pem.map_or_else(|| private_der(message.bytes(2)), private_pem);
        let key = key.ok_or("Invalid key type: private key required for signing operation.")?;
        key.sign(&text).ok_or_else(|| "Failed to create digital signature.".into())
    });
    let mut result = Vec::new();
    match outcome {
        Ok(signature) => {
            put_bool(&mut result, 1, true);
            put_bytes(&mut result, 2, &signature);
        }
        Err(error) => put_bytes(&mut result, 3, error.as_bytes()),
    }
    Ok(result)
}

/// The message, its hash function, and the key if it is in PEM. There has to be one key, in one of both forms.
fn arguments_of(wire: &[u8], pem: u64) -> Result<(Message<'_>, &str, Option<&str>), Status> {
    let message = Message::parse(wire).ok_or(Status::BAD_ARGUMENT)?;
    let function = message.text(1).ok_or(Status::BAD_ARGUMENT)?;
    let pem = message.text(pem).ok_or(Status::BAD_ARGUMENT)?;
    if pem.is_empty() == message.bytes(2).is_empty() {
        return Err(Status::BAD_ARGUMENT);
    }
    Ok((message, function, Some(pem).filter(|pem| !pem.is_empty())))
}

fn unsupported(function: &str) -> String {
    format!("{function} is not supported.")
}
