//! Speaks prost messages to a quota service: a call says which account a user has, a stream what is left of it. When nothing
//! is, what the service tells beside the status becomes part of the answer. The messages are those that prost brings, such as
//! `String` for `google.protobuf.StringValue`; those of a service of one's own derive `prost::Message`.

use proxy_wasm_kit::prelude::*;

struct Quota(GrpcService);
struct Ask(Rc<Quota>);

proxy_wasm_kit::entry!(Quota);

impl Extension for Quota {
    type Config = ();
    type Filter = Ask;

    fn configure(_: (), root: &Root) -> Result<Self, ConfigError> {
        Ok(Self(root.cluster("quota").grpc("acme.Quota")))
    }

    fn filter(self: &Rc<Self>) -> Ask {
        Ask(self.clone())
    }
}

impl HttpFilter for Ask {
    fn on_request_headers(&mut self, request: &mut RequestHeaders<'_>) -> Result {
        let quota = self.0.0.clone();
        let user = request.headers().first("x-user")?.unwrap_or_default();
        Ok(request.later(async move |held| {
            let account: String = quota.call("Account", &String::from_utf8_lossy(&user).into_owned()).await?;
            let mut left = quota.stream("Left")?;
            left.send_message(&account)?;
            match left.next_message::<u32>().await {
                Err(error) if error.code() == 8 => {
                    let seconds: Option<i64> = error.detail_message("google.protobuf.Int64Value");
                    let seconds = seconds.unwrap_or(60).to_string();
                    Ok(Flow::Reply(Response::new(429).header("retry-after", seconds).details("quota")))
                }
                number => {
                    held.headers().set("x-left", number?.unwrap_or_default().to_string())?;
                    Ok(Flow::Continue)
                }
            }
        }))
    }
}
