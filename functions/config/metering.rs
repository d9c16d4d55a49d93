//! The settings of metered billing, checked: to which plan and resource of the Marketplace clients are counted, if to any.

use url::Url;
use uuid::Uuid;

use super::{ConfigError, RawConfig, Reader};
use crate::platform::cloud::CloudProfile;

const PLAN: &str = "ASSAY_METERING_PLAN";
const RESOURCE: &str = "ASSAY_METERING_RESOURCE";
const DIMENSION: &str = "ASSAY_METERING_DIMENSION";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeteringSettings {
    /// The Marketplace's metering service.
    pub endpoint: Url,
    pub plan: String,
    /// The managed application, by its ARM id or by the `resourceUsageId` of its `billingDetails`.
    pub resource: String,
    pub dimension: String,
    /// Clients of each month that the base fee includes.
    pub included: u64,
}

/// `None` without a plan. What is wrong with it is its own and not the program's: approvals and evidence go on without bills.
pub(super) fn read(raw: &RawConfig) -> Result<Option<MeteringSettings>, Vec<ConfigError>> {
    let mut reader = Reader { raw, errors: Vec::new() };
    let settings = (!reader.text(PLAN).is_empty()).then(|| of_plan(&mut reader)).flatten();
    if reader.errors.is_empty() { Ok(settings) } else { Err(reader.errors) }
}

/// `None` when something is wrong; the reader has the errors.
fn of_plan(reader: &mut Reader<'_>) -> Option<MeteringSettings> {
    let (plan, resource, dimension) = (reader.text(PLAN), reader.text(RESOURCE), reader.text(DIMENSION));
    let included = reader.number("ASSAY_METERING_INCLUDED", 0, 1_000_000);
    let endpoint = match reader.get("ASSAY_CLOUD") {
        "public" => CloudProfile::public().metering,
        "government" => CloudProfile::government().metering,
        _ => None,
    };
    if endpoint.is_none() {
        let problem = "metered billing works in the public cloud only: no other has a metering service that is known; leave it empty";
        reader.fail(PLAN, problem);
    }
    if !is_id(&plan) {
        reader.fail(PLAN, "expected the plan's id in Partner Center: at most 50 letters, digits, - and _");
    }
    if !is_id(&dimension) {
        reader.fail(DIMENSION, "expected the dimension's id in Partner Center: at most 50 letters, digits, - and _");
    }
    let is_resource = is_managed_application(&resource) || is_usage_id(&resource);
    if !is_resource {
        let expected = "expected the managed application's id, /subscriptions/ID/resourceGroups/NAME/providers/Microsoft.Solutions/applications/NAME, or the resourceUsageId of its billingDetails; only a managed application has metered billing, so leave ASSAY_METERING_PLAN empty elsewhere";
        reader.fail(RESOURCE, expected);
    }
    is_resource.then_some(MeteringSettings { endpoint: endpoint?, plan, resource, dimension, included })
}

fn is_id(text: &str) -> bool {
    (1..=50).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// A GUID as Azure writes it.
pub fn is_usage_id(resource: &str) -> bool {
    resource.len() == 36 && Uuid::try_parse(resource).is_ok()
}

/// ARM ids count in any case.
fn is_managed_application(id: &str) -> bool {
    let parts: Vec<&str> = id.split('/').collect();
    let ["", subscriptions, subscription, groups, group, providers, namespace, applications, name] = parts.as_slice() else {
        return false;
    };
    let words = [(subscriptions, "subscriptions"), (groups, "resourceGroups"), (providers, "providers")];
    let words = words.into_iter().chain([(namespace, "Microsoft.Solutions"), (applications, "applications")]);
    let is_name = |name: &str| !name.is_empty() && !name.chars().any(char::is_control);
    words.into_iter().all(|(found, word)| found.eq_ignore_ascii_case(word))
        && Uuid::try_parse(subscription).is_ok()
        && is_name(group)
        && is_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::check;

    const APP: &str =
        "/subscriptions/01234567-89ab-cdef-0123-456789abcdef/resourceGroups/msp/providers/Microsoft.Solutions/applications/assay";

    const USAGE_ID: &str = "01234567-89ab-cdef-0123-456789abcdef";

    fn with(changes: &[(&str, &str)]) -> Result<Option<MeteringSettings>, Vec<&'static str>> {
        let base = [("ASSAY_METERING_PLAN", "managed"), ("ASSAY_METERING_RESOURCE", APP)];
        let raw: RawConfig = base.iter().chain(changes).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let metering = check(&raw).expect("whatever is wrong with it, the program runs").metering;
        metering.map_err(|errors| errors.into_iter().map(|error| error.setting).collect())
    }

    #[test]
    fn without_a_plan_nothing_is_metered_and_with_one_everything_is_checked() {
        assert_eq!(with(&[("ASSAY_METERING_PLAN", "")]), Ok(None));
        let metering = with(&[]).expect("good").expect("metered");
        assert_eq!((metering.dimension.as_str(), metering.included), ("clients", 0));
        assert_eq!(metering.endpoint.as_str(), "https://marketplaceapi.microsoft.com/");
        assert_eq!(with(&[("ASSAY_METERING_RESOURCE", &APP.to_lowercase())]).map(|metering| metering.is_some()), Ok(true));
        assert_eq!(with(&[("ASSAY_METERING_RESOURCE", USAGE_ID)]).map(|metering| metering.is_some()), Ok(true));
        for (setting, wrong) in [
            ("ASSAY_METERING_PLAN", "a plan"),
            ("ASSAY_METERING_RESOURCE", ""),
            ("ASSAY_METERING_RESOURCE", "assay"),
            ("ASSAY_METERING_RESOURCE", "0123456789abcdef0123456789abcdef"),
            ("ASSAY_METERING_RESOURCE", &APP.replace("Solutions", "Web")),
            ("ASSAY_METERING_RESOURCE", &APP.replace("01234567", "x")),
            ("ASSAY_METERING_RESOURCE", &format!("{APP}/more")),
            ("ASSAY_METERING_DIMENSION", ""),
            ("ASSAY_METERING_INCLUDED", "-1"),
            ("ASSAY_METERING_INCLUDED", "some"),
        ] {
            assert_eq!(with(&[(setting, wrong)]), Err(vec![setting]), "{wrong}");
        }
    }

    #[test]
    fn where_no_metering_service_is_known_a_plan_is_refused_in_words() {
        for cloud in ["government", "custom"] {
            assert_eq!(with(&[("ASSAY_CLOUD", cloud)]), Err(vec!["ASSAY_METERING_PLAN"]), "{cloud}");
            assert_eq!(with(&[("ASSAY_CLOUD", cloud), ("ASSAY_METERING_PLAN", "")]), Ok(None), "{cloud}");
        }
        let raw = RawConfig::from([("ASSAY_CLOUD".into(), "government".into()), ("ASSAY_METERING_PLAN".into(), "managed".into())]);
        let errors = check(&raw).expect("it runs").metering.expect_err("refused");
        assert!(errors.iter().any(|error| error.problem.contains("in the public cloud only")), "{errors:?}");
    }
}
