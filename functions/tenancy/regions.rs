//! The regions in which a client's records may be read, by Azure's names (`usgovvirginia`).
//!
//! They stand in the client's key record, under its MAC, and are looked at before a data key is unwrapped: an instance
//! elsewhere never holds the key. No region named means anywhere. Nothing of a client is sent to a model's endpoint in this
//! release; whoever adds one asks the same of its region before anything is opened for it.

use serde::{Deserialize, Serialize};

/// Sorted, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Regions(Vec<String>);

/// More than any cloud's geography has.
const MOST: usize = 20;

impl Regions {
    /// Names with commas or blanks between them; `None` when one is no name of a region.
    pub fn parse(text: &str) -> Option<Self> {
        let mut names: Vec<String> = text.split([',', ' ']).filter(|name| !name.is_empty()).map(str::to_ascii_lowercase).collect();
        names.sort_unstable();
        names.dedup();
        (names.len() <= MOST && names.iter().all(|name| is_region(name))).then_some(Self(names))
    }

    /// Whether what is in this region may see the records; where a client names regions, a place that has no name is none
    /// of them.
    pub fn admit(&self, region: Option<&str>) -> bool {
        self.0.is_empty() || region.is_some_and(|region| self.0.iter().any(|name| name == region))
    }

    pub fn is_anywhere(&self) -> bool {
        self.0.is_empty()
    }

    /// For people and for the MAC.
    pub fn text(&self) -> String {
        self.0.join(", ")
    }
}

/// Azure's names are lower-case letters and digits.
pub fn is_region(name: &str) -> bool {
    (2..=40).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_client_is_read_where_it_says_and_nowhere_else() {
        for (client, instance, may_read) in [
            ("", None, true),
            ("", Some("eastus"), true),
            ("usgovvirginia", Some("usgovvirginia"), true),
            ("usgovvirginia", Some("usgovarizona"), false),
            ("usgovvirginia, usgovarizona", Some("usgovarizona"), true),
            ("usgovvirginia", Some("eastus"), false),
            ("usgovvirginia", Some("usgovvirginia2"), false),
            ("usgovvirginia", Some("usgov"), false),
            ("usgovvirginia", None, false),
        ] {
            let regions = Regions::parse(client).expect("regions");
            assert_eq!(regions.admit(instance), may_read, "{client} {instance:?}");
        }
    }

    #[test]
    fn what_is_no_name_of_a_region_and_more_than_there_are_is_refused() {
        let many = |count: usize| (0..count).map(|n| format!("region{n}")).collect::<Vec<_>>().join(",");
        assert!(Regions::parse(&many(MOST)).is_some_and(|regions| !regions.is_anywhere()));
        assert_eq!(Regions::parse(&many(MOST + 1)), None);
        assert!(Regions::parse("").is_some_and(|regions| regions.is_anywhere()));
        for bad in ["us-gov", "u", "us_gov", "region!", &"x".repeat(41)] {
            assert!(Regions::parse(bad).is_none() && !is_region(bad), "{bad}");
        }
        assert!(is_region("us") && is_region("eastus2") && !is_region("EastUS") && is_region(&"x".repeat(40)));
    }

    proptest! {
        #[test]
        fn what_is_taken_says_itself_again_and_admits_what_it_names(text in "[a-zA-Z0-9, _.-]{0,60}") {
            if let Some(regions) = Regions::parse(&text) {
                prop_assert_eq!(Regions::parse(&regions.text()), Some(regions.clone()));
                for name in text.split([',', ' ']).filter(|name| !name.is_empty()) {
                    prop_assert!(regions.admit(Some(&name.to_lowercase())));
                }
                prop_assert!(regions.is_anywhere() || !regions.admit(Some("nowhere at all")));
            }
        }
    }
}
