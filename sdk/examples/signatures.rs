//! Lets requests pass whose header `x-claim` is signed with a key of the list. The proxy verifies, or, where it does not do
//! that, the code that the crate's feature `signatures` brings.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proxy_wasm_kit::foreign::{Hash, PublicKey, verify_signature};
use proxy_wasm_kit::prelude::*;
use std::collections::BTreeMap;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// In PEM, by their names.
    keys: BTreeMap<String, String>,
}

struct Signatures(Config);
struct Verify(Rc<Signatures>);

proxy_wasm_kit::entry!(Signatures);

impl Extension for Signatures {
    type Config = Config;
    type Filter = Verify;

    fn configure(config: Config, _: &Root) -> Result<Self, ConfigError> {
        Ok(Self(config))
    }

    fn filter(self: &Rc<Self>) -> Verify {
        Verify(self.clone())
    }
}

impl HttpFilter for Verify {
    fn on_request_headers(&mut self, request: &mut RequestHeaders<'_>) -> Result {
        let claim = request.headers().first("x-claim")?.unwrap_or_default();
        let signature = request.headers().first("x-signature")?.unwrap_or_default();
        let Some((hash, key, signature)) = self.signature(&signature) else {
            return Ok(Flow::Reply(Response::new(400).details("no_signature")));
        };
        let verdict = verify_signature(hash, PublicKey::Pem(key), &claim, &signature)?;
        Ok(if verdict.is_valid() { Flow::Continue } else { Flow::Reply(Response::new(401)) })
    }
}

impl Verify {
    /// The name of a key, a hash function and the signature in Base64, with spaces between.
    fn signature(&self, header: &Bytes) -> Option<(Hash, &str, Vec<u8>)> {
        let (key, rest) = header.as_str()?.split_once(' ')?;
        let (hash, signature) = rest.split_once(' ')?;
        let hashes = [Hash::Sha1, Hash::Sha224, Hash::Sha256, Hash::Sha384, Hash::Sha512];
        let hash = hashes.into_iter().find(|known| hash.eq_ignore_ascii_case(&format!("{known:?}")))?;
        Some((hash, self.0.0.keys.get(key)?, STANDARD.decode(signature).ok()?))
    }
}
