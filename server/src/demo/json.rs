/// Lays JSON out for reading, in the order it came: what fits on a line shares it, the rest is broken and indented.
pub(super) fn laid_out(json: &str, columns: usize) -> String {
    let mut out = String::new();
    write(json, 0, columns, &mut out);
    out
}

fn write(value: &str, indent: usize, columns: usize, out: &mut String) {
    let is_nested = value.starts_with(['{', '[']);
    let spaced = spaced(value);
    // One column is left for a comma.
    if !is_nested || columns_used(out) + spaced.chars().count() < columns {
        out.push_str(&spaced);
        return;
    }
    let mut inner = value.chars();
    let (open, close) = (inner.next().unwrap_or_default(), inner.next_back().unwrap_or_default());
    out.push(open);
    let parts = parts(inner.as_str());
    let last = parts.len().saturating_sub(1);
    let mut is_alone = true;
    for (number, part) in parts.into_iter().enumerate() {
        // What fits beside its neighbour needs no line of its own.
        let fits = columns_used(out) + self::spaced(part).chars().count() + 2 < columns;
        if is_alone || !fits {
            out.push('\n');
            out.push_str(&" ".repeat(indent + 2));
        } else {
            out.push(' ');
        }
        let begin = out.len();
        let value = match key(part) {
            Some((key, value)) => {
                out.push_str(key);
                out.push_str(": ");
                value
            }
            None => part,
        };
        write(value, indent + 2, columns, out);
        // Elements of a list are for comparing, one below the other.
        is_alone = open == '[' || out.get(begin..).is_some_and(|written| written.contains('\n'));
        if number != last {
            out.push(',');
        }
    }
    out.push('\n');
    out.push_str(&" ".repeat(indent));
    out.push(close);
}

fn columns_used(out: &str) -> usize {
    out.rsplit('\n').next().unwrap_or_default().chars().count()
}

/// The members of an object or the elements of an array.
fn parts(inner: &str) -> Vec<&str> {
    let mut depth = 0;
    let mut text = Text::default();
    inner
        .split(|c: char| {
            let outside = text.is_outside(c);
            match c {
                '{' | '[' if outside => depth += 1,
                '}' | ']' if outside => depth -= 1,
                _ => {}
            }
            c == ',' && outside && depth == 0
        })
        .filter(|part| !part.is_empty())
        .collect()
}

/// The key of a member, with its quotes, and the value.
fn key(part: &str) -> Option<(&str, &str)> {
    if !part.starts_with('"') {
        return None;
    }
    let mut text = Text::default();
    let at = part.find(|c: char| text.is_outside(c) && c == ':')?;
    let (key, value) = part.split_at(at);
    Some((key, value.strip_prefix(':')?))
}

/// With a space after every comma and colon that is not within a text.
fn spaced(json: &str) -> String {
    let mut text = Text::default();
    let mut spaced = String::with_capacity(json.len());
    for c in json.chars() {
        spaced.push(c);
        if text.is_outside(c) && matches!(c, ',' | ':') {
            spaced.push(' ');
        }
    }
    spaced
}

/// Knows, character by character, whether it is within a JSON string.
#[derive(Default)]
struct Text {
    inside: bool,
    escaped: bool,
}

impl Text {
    fn is_outside(&mut self, c: char) -> bool {
        match c {
            _ if self.escaped => self.escaped = false,
            '\\' if self.inside => self.escaped = true,
            '"' => self.inside = !self.inside,
            _ => {}
        }
        !self.inside
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(json: &str, columns: usize, expected: &str) {
        assert_eq!(laid_out(json, columns), expected);
    }

    #[test]
    fn what_fits_stays_on_a_line() {
        check(r#"{"a":1,"b":[1,2]}"#, 40, r#"{"a": 1, "b": [1, 2]}"#);
        check(r#"{"a,b":"c:d\"e","f":{}}"#, 40, r#"{"a,b": "c:d\"e", "f": {}}"#);
    }

    #[test]
    fn what_does_not_fit_is_broken_once() {
        check(
            r#"{"a":1,"z":2,"b":[{"c":22222},{"d":3}]}"#,
            24,
            "{\n  \"a\": 1, \"z\": 2,\n  \"b\": [\n    {\"c\": 22222},\n    {\"d\": 3}\n  ]\n}",
        );
    }
}
