/// What becomes of a path on its way.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Rewrite {
    /// Segments that are taken off its front.
    pub(crate) strip: usize,
    /// What is put there.
    pub(crate) prefix: Option<Box<str>>,
}

impl Rewrite {
    pub(crate) fn is_nothing(&self) -> bool {
        self.strip == 0 && self.prefix.is_none()
    }

    /// The path as the instance sees it, and what was taken off. The rest keeps its spelling.
    pub(crate) fn apply<'a>(&self, path: &'a str) -> (String, &'a str) {
        let mut end = 0;
        for _ in 0..self.strip {
            let rest = path.get(end + 1..).unwrap_or_default();
            if rest.is_empty() {
                break;
            }
            end += 1 + rest.find('/').unwrap_or(rest.len());
        }
        let (taken, rest) = path.split_at_checked(end).unwrap_or(("", path));
        let prefix = self.prefix.as_deref().unwrap_or_default();
        let slash = if rest.is_empty() && !prefix.is_empty() { "" } else { "/" };
        let new = match rest.strip_prefix('/') {
            Some(rest) => format!("{prefix}/{rest}"),
            None => format!("{prefix}{slash}{rest}"),
        };
        (new, taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn rewritten(strip: usize, prefix: &str, path: &str, new: &str, taken: &str) {
        let prefix = Some(prefix).filter(|prefix| !prefix.is_empty()).map(Box::from);
        assert_eq!(Rewrite { strip, prefix }.apply(path), (new.to_owned(), taken), "{path}");
    }

    #[test]
    fn segments_are_taken_off_and_the_rest_keeps_its_spelling() {
        rewritten(0, "", "/a/b", "/a/b", "");
        rewritten(1, "", "/a/b%2Fc", "/b%2Fc", "/a");
        rewritten(1, "", "/a/", "/", "/a");
        rewritten(1, "", "/a", "/", "/a");
        rewritten(1, "", "/a//b", "//b", "/a");
        rewritten(2, "", "/a/b/c", "/c", "/a/b");
        rewritten(9, "", "/a/b", "/", "/a/b");
        rewritten(1, "", "/", "/", "");
        rewritten(1, "/v2", "/a/b", "/v2/b", "/a");
        rewritten(1, "/v2", "/a", "/v2", "/a");
        rewritten(0, "/v2", "/a", "/v2/a", "");
    }
}
