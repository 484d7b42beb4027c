//! Verifies a signature over the path, and packs what it answers.

use proxy_wasm_kit::foreign::{Hash, PublicKey, Verdict, compress, uncompress, verify_signature};
use proxy_wasm_kit::prelude::*;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// In PEM.
    public_key: String,
}

struct Signed(Settings);
struct Verify(Rc<Signed>);

proxy_wasm_kit::entry!(Signed);

impl Extension for Signed {
    type Config = Settings;
    type Filter = Verify;

    fn configure(config: Settings, _: &Root) -> Result<Self, ConfigError> {
        Ok(Self(config))
    }

    fn filter(self: &Rc<Self>) -> Verify {
        Verify(self.clone())
    }
}

impl HttpFilter for Verify {
    fn on_request_headers(&mut self, request: &mut RequestHeaders<'_>) -> Result {
        let path = request.path()?;
        let signature = request.headers().first("x-signature")?.unwrap_or_default();
        let signature: Vec<u8> = signature.chunks(2).filter_map(hex).collect();
        let key = PublicKey::Pem(&self.0.0.public_key);
        if let Verdict::Invalid(reason) = verify_signature(Hash::Sha256, key, &path, &signature)? {
            log::info!("refused: {reason}");
            return Ok(Flow::Reply(Response::new(401).details("bad_signature")));
        }
        let packed = compress(&path.repeat(100))?;
        let same = uncompress(&packed)?.len() == path.len().saturating_mul(100);
        let answer = format!("packed {} {same}", packed.len() < path.len().saturating_mul(100));
        Ok(Flow::Reply(Response::new(200).body(answer)))
    }
}

fn hex(digits: &[u8]) -> Option<u8> {
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}
