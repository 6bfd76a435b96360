//! Request paths: escapes, cleaning, and the table of routes.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write as _;

use actix_web::http::Method;
use guildhall_actors::endpoint::Verb;

/// The path that `path` should have been, where it has empty, `.` or `..` segments.
///
/// A trailing slash stays, as the reference's router has it.
pub(super) fn cleaned(path: &[u8]) -> Option<Vec<u8>> {
    let unclean = |pair: &[u8]| matches!(pair, b"//" | b"/.");
    if path.first() == Some(&b'/') && !path.windows(2).any(unclean) {
        return None;
    }
    let mut segments: Vec<&[u8]> = Vec::new();
    for segment in path.split(|byte| *byte == b'/') {
        match segment {
            b"" | b"." => {}
            b".." => drop(segments.pop()),
            _ => segments.push(segment),
        }
    }
    let mut clean = Vec::with_capacity(path.len());
    for segment in &segments {
        clean.push(b'/');
        clean.extend_from_slice(segment);
    }
    if clean.is_empty() || path.ends_with(b"/") {
        clean.push(b'/');
    }
    // A segment that begins with a dot may be just a name.
    (clean != path).then_some(clean)
}

/// `path` with the escapes that a URL needs.
pub(super) fn escaped(path: &[u8]) -> String {
    let mut text = String::with_capacity(path.len());
    for byte in path {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => text.push(char::from(*byte)),
            b'-' | b'_' | b'.' | b'~' | b'$' | b'&' | b'+' | b',' | b'/' | b':' | b';' | b'='
            | b'@' => {
                text.push(char::from(*byte));
            }
            _ => {
                // Writing to a string cannot fail.
                let _ = write!(text, "%{byte:02X}");
            }
        }
    }
    text
}

/// Where a request leads.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<'t, 'p, T> {
    /// To this target, with the values of the path's parameters.
    Target(&'t T, Vec<Cow<'p, [u8]>>),
    /// The path is known, but not by this method.
    OtherMethod,
    /// Nowhere.
    Nothing,
}

/// Routes by method and path template.
#[derive(Debug)]
pub(super) struct Table<T> {
    targets: Vec<T>,
    plain: HashMap<Vec<u8>, Methods>,
    /// Templates with parameters, by their number of segments.
    templates: HashMap<usize, Vec<Template>>,
}

#[derive(Debug)]
struct Template {
    /// Each segment's text, or `None` for a parameter.
    segments: Vec<Option<Vec<u8>>>,
    methods: Methods,
}

/// The target of each verb, as an index.
#[derive(Clone, Debug, Default)]
struct Methods([Option<usize>; 4]);

impl Methods {
    fn slot(&mut self, verb: Verb) -> &mut Option<usize> {
        let [get, post, put, delete] = &mut self.0;
        match verb {
            Verb::Get => get,
            Verb::Post => post,
            Verb::Put => put,
            Verb::Delete => delete,
        }
    }

    fn target(&self, method: &Method) -> Option<usize> {
        let [get, post, put, delete] = self.0;
        match *method {
            Method::GET => get,
            Method::POST => post,
            Method::PUT => put,
            Method::DELETE => delete,
            _ => None,
        }
    }
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { targets: Vec::new(), plain: HashMap::new(), templates: HashMap::new() }
    }
}

impl<T> Table<T> {
    /// Adds a route; `template` is a path with parameters in braces. A later one of the same verb and
    /// path takes the place of an earlier one.
    pub(super) fn add(&mut self, verb: Verb, template: &str, target: T) {
        let index = self.targets.len();
        self.targets.push(target);
        if parameters(template).next().is_none() {
            *self.plain.entry(template.into()).or_default().slot(verb) = Some(index);
            return;
        }
        let text = |segment: &str| (!segment.starts_with('{')).then(|| segment.as_bytes().to_vec());
        let segments: Vec<_> = template.split('/').map(text).collect();
        let same_length = self.templates.entry(segments.len()).or_default();
        let known = same_length.iter_mut().find(|known| known.segments == segments);
        let methods = match known {
            Some(known) => &mut known.methods,
            None => {
                same_length
                    .push(Template { segments: segments.clone(), methods: Methods::default() });
                // The ones with fewest parameters are looked at first.
                same_length.sort_by_key(|template| {
                    template.segments.iter().filter(|s| s.is_none()).count()
                });
                let at = same_length.iter_mut().find(|known| known.segments == segments);
                match at {
                    Some(added) => &mut added.methods,
                    None => return,
                }
            }
        };
        *methods.slot(verb) = Some(index);
    }

    /// Where `path` leads, unescaped, by `method`.
    pub(super) fn find<'p>(&self, method: &Method, path: &'p [u8]) -> Found<'_, 'p, T> {
        let mut known = false;
        if let Some(methods) = self.plain.get(path) {
            known = true;
            if let Some(index) = methods.target(method) {
                return Found::Target(&self.targets[index], Vec::new());
            }
        }
        let length = path.iter().filter(|byte| **byte == b'/').count() + 1;
        for template in self.templates.get(&length).into_iter().flatten() {
            let segments = || path.split(|byte| *byte == b'/').zip(&template.segments);
            if !segments()
                .all(|(given, wanted)| wanted.as_ref().is_none_or(|wanted| wanted == given))
            {
                continue;
            }
            known = true;
            if let Some(index) = template.methods.target(method) {
                let values =
                    segments().filter(|pair| pair.1.is_none()).map(|pair| Cow::Borrowed(pair.0));
                return Found::Target(&self.targets[index], values.collect());
            }
        }
        if known { Found::OtherMethod } else { Found::Nothing }
    }
}

/// The names of the parameters of a path template, in their order.
pub(super) fn parameters(template: &str) -> impl Iterator<Item = &str> {
    template.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_and_dotted_segments_are_cleaned_away() {
        let check = |path: &str, expected: Option<&str>| {
            let clean = cleaned(path.as_bytes());
            assert_eq!(clean.as_deref(), expected.map(str::as_bytes), "{path}");
        };
        for clean in ["/", "/v2/account", "/v2/account/", "/v2/.hidden", "/v2/a..b/c", "/a/..."] {
            check(clean, None);
        }
        check("", Some("/"));
        check("//v2/account", Some("/v2/account"));
        check("/v2//account/", Some("/v2/account/"));
        check("/v2/./account", Some("/v2/account"));
        check("/v2/x/../account", Some("/v2/account"));
        check("/v2/account/..", Some("/v2"));
        check("/../..", Some("/"));
    }

    #[test]
    fn locations_are_escaped() {
        assert_eq!(escaped(b"/a b/\xff%?x:y@~"), "/a%20b/%FF%25%3Fx:y@~");
    }

    fn table() -> Table<&'static str> {
        let mut table = Table::default();
        table.add(Verb::Get, "/v2/account", "account");
        table.add(Verb::Put, "/v2/account", "update");
        table.add(Verb::Get, "/v2/storage/{collection}/{user_id}", "list");
        table.add(Verb::Put, "/v2/storage/{collection}/delete", "delete");
        table.add(Verb::Get, "/v2/storage/{collection}", "own");
        table.add(Verb::Post, "/v2/storage/any", "any");
        table
    }

    #[track_caller]
    fn check(method: Method, path: &str, expected: Found<'_, '_, &'static str>) {
        assert_eq!(table().find(&method, path.as_bytes()), expected);
    }

    fn target<'p>(
        name: &'static &'static str,
        values: &[&'p str],
    ) -> Found<'static, 'p, &'static str> {
        Found::Target(name, values.iter().map(|value| Cow::Borrowed(value.as_bytes())).collect())
    }

    #[test]
    fn routes_are_found_by_method_and_path() {
        check(Method::GET, "/v2/account", target(&"account", &[]));
        check(Method::PUT, "/v2/account", target(&"update", &[]));
        check(Method::GET, "/v2/storage/c/u:x", target(&"list", &["c", "u:x"]));
        check(Method::GET, "/v2/storage/c/", target(&"list", &["c", ""]));
        check(Method::GET, "/v2/storage/c/delete", target(&"list", &["c", "delete"]));
        check(Method::PUT, "/v2/storage/c/delete", target(&"delete", &["c"]));
        check(Method::GET, "/v2/storage/any", target(&"own", &["any"]));
    }

    #[test]
    fn a_wrong_method_is_told_from_a_wrong_path() {
        check(Method::POST, "/v2/account", Found::OtherMethod);
        check(Method::HEAD, "/v2/account", Found::OtherMethod);
        check(Method::PATCH, "/v2/storage/c/u", Found::OtherMethod);
        check(Method::GET, "/v2/account/", Found::Nothing);
        check(Method::GET, "/v2", Found::Nothing);
        check(Method::GET, "/v2/storage/c/u/x", Found::Nothing);
    }

    #[test]
    fn parameters_stand_in_braces() {
        assert!(parameters("/v2/storage/{collection}/{user_id}").eq(["collection", "user_id"]));
    }
}
