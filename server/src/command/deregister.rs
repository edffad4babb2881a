use http::Method;

use super::client;
use crate::arguments::Deregister;
use crate::client::{segment, with_query};
use crate::failure::Failure;
use crate::out::Out;

pub(crate) async fn deregister(what: Deregister, out: &mut Out) -> Result<(), Failure> {
    let path = format!("/v1/instances/{}", segment(&what.id));
    let parameters = [
        ("service", what.service.as_deref()),
        ("node", what.node.as_deref()),
        ("namespace", what.namespace.as_deref()),
    ];
    let answer = client(&what.to)?.ask(Method::DELETE, &with_query(&path, parameters), None).await?;
    if what.to.json {
        return Ok(out.line(answer.body)?);
    }
    Ok(out.line(format!("deregistered {}", what.id))?)
}
