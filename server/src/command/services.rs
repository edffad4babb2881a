use super::{all_pages, client, joined, list, number, table::Sheet, text};
use crate::arguments::Services;
use crate::failure::Failure;
use crate::out::{Out, note};

pub(crate) async fn services(what: Services, out: &mut Out) -> Result<(), Failure> {
    let parameters = [
        ("prefix", what.prefix.as_deref()),
        ("tag", what.tag.as_deref()),
        ("namespace", what.namespace.as_deref()),
    ];
    let answer = all_pages(&client(&what.to)?, "/v1/services", &parameters, "services").await?;
    if what.to.json {
        return Ok(out.line(answer)?);
    }
    let found = list(&answer, "services");
    if found.is_empty() {
        note("No services. Register one with `switchboard register SERVICE HOST:PORT`.");
        return Ok(());
    }
    let mut sheet = Sheet::new(&["SERVICE", "SERVED", "INSTANCES", "TAGS", "REVISION"]);
    for service in found {
        sheet.add([
            text(service, "service").to_owned(),
            number(service, "healthy").to_string(),
            number(service, "instances").to_string(),
            joined(service, "tags", ", "),
            number(service, "revision").to_string(),
        ]);
    }
    Ok(sheet.print(out)?)
}
