//! The operation `put-token`.

use jiff::Timestamp;

use super::{Claims, Keys, TokenCheck, TokenRights};
use crate::amqp::address;
use crate::amqp::request::{Answer, Request};

/// Judges a token and adds its claims. The words of a refusal begin as the service's do, which some clients look at.
pub(crate) fn put_token(
    request: &Request,
    claims: &mut Claims,
    keys: &Keys,
    tokens: &dyn TokenCheck,
    now: Timestamp,
) -> Answer {
    if request.operation() != "put-token" {
        return Answer::cbs(400, "BadRequest: the node $cbs knows put-token only.");
    }
    let (kind, audience) = (request.property("type"), request.property("name"));
    let Some(token) = request.text_body() else {
        return Answer::cbs(400, "BadRequest: the token has to be a string.");
    };
    let judged = match kind.as_str() {
        // Python's client calls a signature a JWT.
        _ if token.starts_with("SharedAccessSignature ") => keys.check(&token, &audience, now),
        "jwt" => judge_token(tokens, &token, &audience, now),
        other => Err(format!(
            "UnsupportedToken: the token type '{other}' is not known."
        )),
    };
    match judged {
        Ok(rights) => {
            claims.add(&audience, rights);
            Answer::cbs(202, "Accepted")
        }
        Err(reason) => Answer::cbs(401, &reason),
    }
}

fn judge_token(
    tokens: &dyn TokenCheck,
    token: &str,
    audience: &str,
    now: Timestamp,
) -> Result<TokenRights, String> {
    let rights = tokens
        .check(token, &address::host(audience))
        .map_err(|why| format!("InvalidToken: {why}"))?;
    if rights.expires_at <= now {
        return Err("ExpiredToken: The token is expired.".to_owned());
    }
    Ok(rights)
}
