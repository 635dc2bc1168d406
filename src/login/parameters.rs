//! The parameters of a request of OAuth.

use url::form_urlencoded;

use crate::public_url::PublicUrl;

/// The parameters of a query or a form. Those without a value are as if they were left out (RFC 6749 §3.1).
#[derive(Clone, Debug, Default)]
pub struct Parameters(Vec<(String, String)>);

/// A resource that is not a part of this service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownResource;

impl Parameters {
    /// Reads the parameters.
    #[must_use]
    pub fn parse(text: &[u8]) -> Self {
        let given = form_urlencoded::parse(text).filter(|(_, value)| !value.is_empty());
        Self(given.map(|(name, value)| (name.into_owned(), value.into_owned())).collect())
    }

    /// The value of a parameter.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// The values of a parameter that may be given several times.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// The first of these names that is given twice.
    #[must_use]
    pub fn repeated(&self, names: &[&'static str]) -> Option<&'static str> {
        names.iter().find(|name| self.all(name).count() > 1).copied()
    }

    /// The identifiers of the resources that are asked for (RFC 8707), each once.
    ///
    /// # Errors
    /// [`UnknownResource`].
    pub fn resources(&self, public_url: &PublicUrl) -> Result<Vec<String>, UnknownResource> {
        let mut found = Vec::new();
        for identifier in self.all("resource") {
            let (origin, resource) = public_url.find(identifier).ok_or(UnknownResource)?;
            let identifier = origin.resource(resource);
            if !found.contains(&identifier) {
                found.push(identifier);
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_parameters_are_left_out_and_repeated_ones_are_found() {
        let parameters = Parameters::parse(b"a=1&b=&c=%C3%A9+x&a=2&d");
        assert_eq!((parameters.get("a"), parameters.get("b"), parameters.get("c")), (Some("1"), None, Some("é x")));
        assert_eq!((parameters.repeated(&["b", "c", "a"]), parameters.repeated(&["b"])), (Some("a"), None));
    }

    #[test]
    fn resources_are_parts_of_this_service_each_once() {
        let url: PublicUrl = "https://a.example".parse().unwrap();
        let resources = |text: &str| Parameters::parse(text.as_bytes()).resources(&url);
        assert_eq!(resources(""), Ok(Vec::new()));
        let both = "resource=https://a.example/mcp/&resource=https://a.example&resource=https://a.example/mcp";
        assert_eq!(resources(both).unwrap(), ["https://a.example/mcp", "https://a.example"]);
        assert_eq!(resources("resource=https://a.example/mcp&resource=https://b.example"), Err(UnknownResource));
    }
}
