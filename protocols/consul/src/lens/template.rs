//! Templates of prepared queries: names that stand for many queries, with `${...}` in the texts of the service.

use regex::bytes::Regex;

use crate::filter::go_regex;
use crate::wire::QueryBody;

/// The only kind of template there is.
const NAME_PREFIX: &str = "name_prefix_match";

/// Texts that are put together from parts of the name which is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    query: QueryBody,
    regexp: Option<Regex>,
}

/// A piece of a text.
#[derive(Clone, Debug, PartialEq)]
enum Piece {
    Plain(String),
    Full,
    Prefix,
    Suffix,
    /// The segment of the agent that asks, which there is none of.
    Segment,
    Match(usize),
}

impl Template {
    /// Err: why it cannot be one, in Consul's words.
    pub(crate) fn compile(query: &QueryBody) -> Result<Template, String> {
        if query.template.kind != NAME_PREFIX {
            return Err(format!("Bad Template.Type '{}'", query.template.kind));
        }
        let mut copy = query.clone();
        each_text(&mut copy, &mut |place, text| {
            parse(text).map(|_| ()).map_err(|why| format!("Bad format '{text}' in Service{place}: {why}"))
        })?;
        let regexp = match query.template.regexp.as_str() {
            "" => None,
            text => Some(go_regex(text.as_bytes()).map_err(|why| format!("Bad Regexp: {why}"))?),
        };
        Ok(Template { query: query.clone(), regexp })
    }

    /// The query that a name stands for.
    pub(crate) fn render(&self, name: &str) -> QueryBody {
        let mut query = self.query.clone();
        let prefix = query.name.clone();
        let found = self.regexp.as_ref().and_then(|regexp| regexp.captures(name.as_bytes()));
        let group = |n: usize| {
            let group = found.as_ref().and_then(|found| found.get(n));
            group.map(|group| String::from_utf8_lossy(group.as_bytes()).into_owned()).unwrap_or_default()
        };
        let suffix = name.get(prefix.len()..).filter(|_| starts_with(name, &prefix)).unwrap_or(name);
        // What does not parse was refused when the template was made.
        let _ = each_text(&mut query, &mut |_, text| {
            let mut out = String::with_capacity(text.len());
            for piece in parse(text)? {
                match piece {
                    Piece::Plain(plain) => out.push_str(&plain),
                    Piece::Full => out.push_str(name),
                    Piece::Prefix => out.push_str(&prefix),
                    Piece::Suffix => out.push_str(suffix),
                    Piece::Segment => {}
                    Piece::Match(n) => out.push_str(&group(n)),
                }
            }
            *text = out;
            Ok(())
        });
        if query.template.remove_empty_tags {
            query.service.tags.iter_mut().for_each(|tags| tags.retain(|tag| !tag.is_empty()));
        }
        query
    }
}

fn starts_with(name: &str, prefix: &str) -> bool {
    name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

type Visit<'a> = &'a mut dyn FnMut(&str, &mut String) -> Result<(), String>;

/// Every text of the service part, with its place in it.
fn each_text(query: &mut QueryBody, visit: Visit<'_>) -> Result<(), String> {
    let service = &mut query.service;
    visit(".Service", &mut service.service)?;
    visit(".Near", &mut service.near)?;
    let lists = [
        (".Failover.Datacenters", &mut service.failover.datacenters),
        (".IgnoreCheckIDs", &mut service.ignore_check_ids),
        (".Tags", &mut service.tags),
    ];
    for (place, list) in lists {
        for (n, text) in list.iter_mut().flatten().enumerate() {
            visit(&format!("{place}[{n}]"), text)?;
        }
    }
    for target in service.failover.targets.iter_mut().flatten() {
        visit(".Failover.Targets", &mut target.datacenter)?;
    }
    let maps = [(".NodeMeta", &mut service.node_meta), (".ServiceMeta", &mut service.service_meta)];
    for (place, map) in maps {
        for (key, text) in map.iter_mut().flatten() {
            visit(&format!("{place}[{key}]"), text)?;
        }
    }
    Ok(())
}

/// A text with `${...}` in it; `$${` is `${` itself.
fn parse(text: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, from) = rest.split_at(at);
        let from = from.get(2..).unwrap_or_default();
        if let Some(before) = before.strip_suffix('$') {
            plain.push_str(before);
            plain.push_str("${");
            rest = from;
            continue;
        }
        plain.push_str(before);
        let (inside, after) = from.split_once('}').ok_or("expected \"}\" to end the expression")?;
        if !plain.is_empty() {
            pieces.push(Piece::Plain(std::mem::take(&mut plain)));
        }
        pieces.push(expression(inside.trim())?);
        rest = after;
    }
    plain.push_str(rest);
    if !plain.is_empty() {
        pieces.push(Piece::Plain(plain));
    }
    Ok(pieces)
}

fn expression(text: &str) -> Result<Piece, String> {
    match text {
        "name.full" => return Ok(Piece::Full),
        "name.prefix" => return Ok(Piece::Prefix),
        "name.suffix" => return Ok(Piece::Suffix),
        "agent.segment" => return Ok(Piece::Segment),
        _ => {}
    }
    let argument = text.strip_prefix("match").map(str::trim_start).and_then(|rest| rest.strip_prefix('('));
    let argument = argument.and_then(|rest| rest.strip_suffix(')')).map(str::trim);
    match argument.and_then(|digits| digits.parse().ok()) {
        Some(n) => Ok(Piece::Match(n)),
        None => Err(format!(
            "{text:?} is none of name.full, name.prefix, name.suffix, agent.segment and match(N)"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ServiceQuery;

    fn template(service: &str, tags: &[&str], regexp: &str) -> QueryBody {
        let mut query = QueryBody { name: "geo-".into(), ..QueryBody::default() };
        query.template.kind = NAME_PREFIX.into();
        query.template.regexp = regexp.into();
        query.template.remove_empty_tags = true;
        let tags = Some(tags.iter().map(|tag| (*tag).to_owned()).collect());
        query.service = ServiceQuery { service: service.into(), tags, ..ServiceQuery::default() };
        query
    }

    #[track_caller]
    fn check(service: &str, tags: &[&str], regexp: &str, name: &str, expected: (&str, &[&str])) {
        let query = Template::compile(&template(service, tags, regexp)).unwrap().render(name);
        let said: Vec<&str> = query.service.tags.iter().flatten().map(String::as_str).collect();
        assert_eq!((query.service.service.as_str(), said.as_slice()), expected);
    }

    #[test]
    fn texts_are_put_together_from_the_name() {
        check("${name.suffix}", &[], "", "geo-db", ("db", &[]));
        check("${ name.full }-x", &["a$${b}"], "", "geo-db", ("geo-db-x", &["a${b}"]));
        check(
            "${match(2)}",
            &["${match(1)}", "${match(9)}"],
            "^geo-(.+)-(.+)$",
            "geo-eu-db",
            ("db", &["eu"]),
        );
        check("${name.prefix}", &["${agent.segment}"], "", "GEO-x", ("geo-", &[]));
        check("${match(1)}", &[], "(x)", "geo-y", ("", &[]));
        // A character of several bytes at the place where the prefix ends.
        check("${name.suffix}", &[], "", "geoé", ("geoé", &[]));
    }

    #[test]
    fn what_cannot_be_one_is_said() {
        let said = |query: &QueryBody| Template::compile(query).unwrap_err();
        let mut other = template("x", &[], "");
        other.template.kind = "suffix".into();
        assert_eq!(said(&other), "Bad Template.Type 'suffix'");
        assert!(
            said(&template("x", &[], "(")).starts_with("Bad Regexp: error parsing regexp: missing closing )")
        );
        assert!(said(&template("${name.", &[], "")).starts_with("Bad format '${name.' in Service.Service: "));
        assert!(
            said(&template("x", &["${1+1}"], "")).starts_with("Bad format '${1+1}' in Service.Tags[0]: ")
        );
        assert!(said(&template("${match(-1)}", &[], "")).contains("is none of"));
    }

    proptest::proptest! {
        #[test]
        fn any_text_whatsoever_is_read_or_refused(text in ".{0,60}", name in ".{0,20}") {
            if let Ok(template) = Template::compile(&template(&text, &[&text], "")) {
                template.render(&name);
            }
        }
    }
}
