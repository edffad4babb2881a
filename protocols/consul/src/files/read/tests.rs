use super::*;

const ARTICLE: &str = r#"{
  "service": {
    "name": "user-service", "id": "user-1", "port": 8080, "tags": ["v1"], "enable_tag_override": true,
    "meta": {"some_key": "x"},
    "tagged_addresses": {"lan_ipv4": {"address": "10.0.0.1", "port": 80}},
    "check": {"http": "http://localhost:8080/health", "interval": "10s", "tls_skip_verify": true,
      "deregister_critical_service_after": "2m", "failures_before_critical": 3}
  },
  "checks": [{"id": "mem", "name": "Memory", "ttl": "30s"}]
}"#;

const BLOCKS: &str = r#"
  # As an agent has it.
  service {
    name = "user-service"
    id   = "user-1"
    port = 8080
    tags = ["v1"]
    enable_tag_override = true
    meta = { some_key = "x" }
    tagged_addresses { lan_ipv4 = { address = "10.0.0.1", port = 80 } }
    check {
      http = "http://localhost:8080/health"
      interval = "10s"
      tls_skip_verify = true
      deregister_critical_service_after = "2m"
      failures_before_critical = 3
    }
  }
  checks = [{ id = "mem", name = "Memory", ttl = "30s" }]
"#;

fn read(text: &str, is_hcl: bool) -> Result<Definitions, String> {
    parse(text.to_owned(), is_hcl).map(|(definitions, _)| definitions)
}

#[test]
fn json_and_hcl_in_either_spelling_say_the_same() {
    let (json, hcl) = (read(ARTICLE, false).unwrap(), read(BLOCKS, true).unwrap());
    assert_eq!((&json.services, &json.checks), (&hcl.services, &hcl.checks));
    let (_, service) = json.services.first().unwrap();
    assert!(service.enable_tag_override);
    assert_eq!(service.meta.get("some_key").map(String::as_str), Some("x"));
    assert!(service.tagged_addresses.contains_key("lan_ipv4"));
    let check = &service.check.as_ref().unwrap().0;
    assert_eq!((check.failures_before_critical, check.tls_skip_verify), (3, true));
    let camel = ARTICLE
        .replace("enable_tag_override", "EnableTagOverride")
        .replace("deregister_critical_service_after", "DeregisterCriticalServiceAfter")
        .replace("\"checks\"", "\"Checks\"")
        .replace("\"service\"", "\"Service\"");
    assert_eq!(read(&camel, false).unwrap().services.first().unwrap().1, *service);
}

#[test]
fn lists_and_repeated_blocks() {
    let json = r#"{"services": [{"name":"a"},{"name":"b","checks":[{"ttl":"5s"}],"check":[{"ttl":"6s"}]}]}"#;
    let hcl = "service { name = \"a\" }\nservice {\n name = \"b\"\n check { ttl = \"5s\" }\n check { ttl = \"6s\" }\n}";
    let (json, hcl) = (read(json, false).unwrap(), read(hcl, true).unwrap());
    let bodies = |d: &Definitions| d.services.iter().map(|(_, body)| body.clone()).collect::<Vec<_>>();
    assert_eq!(bodies(&json), bodies(&hcl));
    assert_eq!(bodies(&hcl).last().unwrap().checks.len(), 2);
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    for (text, is_hcl, said) in [
        ("{\n  \"service\": {\n", false, "line 3 column 0: EOF"),
        (
            "{\"service\": {\"name\": \"a\",\n \"prot\": 80}}",
            false,
            "service \"a\", line 2: unknown field \"prot\"",
        ),
        (
            "{\"services\": [{\"name\":\"a\"},{\"name\":\"b\",\"port\":\"x\"}]}",
            false,
            "services[1] \"b\", line 1: invalid type",
        ),
        ("[]", false, "it has to be an object"),
        ("service {\n name = \n}", true, "line 2 column "),
        ("service {\n name = upper(\"a\")\n}", true, "only plain values"),
        ("service \"web\" {\n}", true, "takes no label"),
        ("service {\n name = \"a\"\n name = \"b\"\n}", true, "redefined attribute"),
    ] {
        let why = read(text, is_hcl).unwrap_err();
        assert!(why.contains(said), "{text}: {why}");
    }
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for is_hcl in [false, true] {
        assert!(read(&deep, is_hcl).unwrap_err().contains("more than 32 deep"));
    }
    let (nothing, others) = parse(r#"{"datacenter":"dc1","ports":{}}"#.into(), false).unwrap();
    assert!(nothing.services.is_empty() && others == ["datacenter", "ports"]);
    assert!(read(" \n", true).unwrap().services.is_empty());
}

proptest::proptest! {
    #[test]
    fn any_text_whatsoever_is_read_or_refused(text in "[a-z{}\\[\\]=\"$,:\\n (0-9-]{0,80}") {
        let _ = read(&text, false);
        let _ = read(&text, true);
    }
}
